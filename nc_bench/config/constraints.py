"""Sets that features, head and outputs are kept in."""

from typing import Literal

from pydantic import Field

from nc_bench.config.base import Section
from nc_bench.config.values import AboveOne, Positive


class LpBall(Section):
    """|x|_p <= radius for every row x."""

    radius: Positive = Field(description="Radius of the ball.")
    p: AboveOne = Field(default=2.0, description="Exponent of the l^p norm, 1 < p < infinity.")


class FeatureBound(LpBall):
    """What features may not leave: a ball or (normalised features) a sphere for each, or a ball for all in the mean."""

    set: Literal["ball", "sphere", "mean_square"] = Field(
        default="ball",
        description="ball: |f(x)|_p <= radius for every x; sphere (p = 2): |f(x)| = radius for every x; mean_square "
        "(feature tables, p = 2): the mean of |f(x)|^2 over the samples is at most radius^2.",
    )


class HeadBound(Section):
    """What the last layer may not leave: a bound of its singular values, or of its rows' root mean square."""

    radius: Positive = Field(description="Bound of the spectral norm, or of the rows' root mean square.")
    set: Literal["spectral", "mean_square"] = Field(
        default="spectral",
        description="spectral: |W|_op <= radius; mean_square: the mean of |w_k|^2 over the K classes is at most "
        "radius^2, which is the Frobenius ball |W|_F <= radius sqrt(K).",
    )


class Constraints(Section):
    """Sets that features, head and outputs may not leave; null where there is no bound."""

    features: FeatureBound | None = Field(
        default=None,
        description="The set of the features: radially in a network's forward pass, by projection for a table.",
    )
    head: HeadBound | None = Field(
        default=None, description="|W|_op <= radius, by clipping singular values after each step."
    )
    outputs: LpBall | None = Field(
        default=None, description="|h(x)|_p <= radius for the logits, radially in the forward pass."
    )

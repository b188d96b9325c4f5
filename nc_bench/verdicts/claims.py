"""What is claimed of a run, metric by metric, and how near to its predicted value a measurement has to come."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

NETWORK = 0.05
"""A network is held to 5 %."""

WORST_OF_NETWORK = 3 * NETWORK
"""The worst of 45 pairs, those of ten classes, where the mean of a normal spread is 5 %."""

ALWAYS = 1e-9
"""Nearer than this to the predicted value, the null says that the metric cannot tell: for two classes every pair of
means is a simplex."""


@dataclass(frozen=True, kw_only=True)
class ToleranceKind:
    """How deviations are taken and bounded.

    relative: the deviation is a share of the predicted value. of_range: it is a share of the way from the predicted
    value to that of equal outputs. network: the bound for networks, and wherever no minimiser is proved. half_of_null:
    it is also at most half of the way to what random directions give. exact: the bound, by dtype, for an unconstrained
    model with a proved minimiser.
    """

    relative: bool = False
    of_range: bool = False
    network: float = NETWORK
    half_of_null: bool = False
    exact: Mapping[str, float]


MINIMUM = {"float64": 1e-9, "float32": 1e-5}
"""Of the risk; in float32 norms and margins are rounded, and the risk with them."""

AT_MINIMUM = {"float64": 1e-4, "float32": 1e-4}
"""Of everything else: what the risk's quadratic minimum leaves of 1e-9."""

RISK = ToleranceKind(relative=True, of_range=True, exact=MINIMUM)
"""A share of a risk says nothing where even noise is near the minimum, in a small ball; a share of what can be gained
says nothing where the minimum is near 0. The margin that belongs to the risk is judged beside it."""

MARGIN = ToleranceKind(relative=True, exact=MINIMUM)
SIZE = ToleranceKind(relative=True, exact=AT_MINIMUM)
ERROR = ToleranceKind(half_of_null=True, exact=AT_MINIMUM)
WORST = ToleranceKind(
    network=WORST_OF_NETWORK, half_of_null=True, exact={dtype: 3 * bound for dtype, bound in AT_MINIMUM.items()}
)
WORST_SAMPLE = ToleranceKind(network=0.25, exact=AT_MINIMUM)
"""Looks at one sample only. A quarter of the radius off, and everywhere so, it costs a quarter of the margin."""

EXACTLY = ToleranceKind(network=0.0, exact={"float64": 0.0, "float32": 0.0})
"""Shares of N samples: what is claimed of all is false where one is an exception."""


@dataclass(frozen=True)
class RunClaim:
    """One claim in words, and the kind of its tolerance."""

    sentence: str
    kind: ToleranceKind = ERROR


CLAIMS: Mapping[str, RunClaim] = {
    "risk": RunClaim("the training risk has come down to its minimum", RISK),
    "objective": RunClaim("the training objective has come down to its minimum", RISK),
    "margin": RunClaim("the margin of that risk is the one predicted", MARGIN),
    "simplex_efficiency": RunClaim("the whole norm budget becomes separation"),
    "efficiency_within": RunClaim("no budget is lost on spread within classes"),
    "efficiency_pairs": RunClaim("no budget is lost on unequal margins"),
    "efficiency_alignment": RunClaim("no budget is lost on a head beside the means"),
    "efficiency_isometry": RunClaim("no budget is lost on an uneven head"),
    "efficiency_simplex": RunClaim("no budget is lost on uneven class means"),
    "efficiency_norm": RunClaim("no budget is lost on means shorter than samples"),
    "feature_radius": RunClaim("features reach the largest norm", SIZE),
    "head_opnorm": RunClaim("the head reaches its largest norm", SIZE),
    "nc1_pinv": RunClaim("classes are points, against the class means"),
    "nc1_quotient": RunClaim("classes are points, by variances"),
    "nc1_quotient_worst": RunClaim("classes are points, the widest class", WORST),
    "nc1_cdnv": RunClaim("classes are points, pair by pair"),
    "nc1_cdnv_worst": RunClaim("classes are points, the worst pair", WORST),
    "nc1_radius": RunClaim("classes are points, the worst sample", WORST_SAMPLE),
    "output_collapse": RunClaim("outputs of a class are one point"),
    "output_collapse_worst": RunClaim("outputs of a class are one point, the widest class", WORST),
    "nc2_equinorm": RunClaim("class means have equal norms"),
    "nc2_equinorm_worst": RunClaim("class means have equal norms, the worst class", WORST),
    "nc2_equiangular": RunClaim("class means have equal, widest angles"),
    "nc2_equiangular_worst": RunClaim("class means have equal, widest angles, the worst pair", WORST),
    "nc2_equidistant": RunClaim("class means have equal distances"),
    "nc2_equidistant_worst": RunClaim("class means have equal distances, the worst pair", WORST),
    "nc2_etf": RunClaim("class means form a simplex"),
    "centre_offset": RunClaim("offset of the centre of the class means"),
    "nc3_duality_centred": RunClaim("head and class means are proportional"),
    "nc3_duality_centred_worst": RunClaim("head and class means are proportional, the worst class", WORST),
    "nc3_alignment_centred": RunClaim("head rows point at class means"),
    "nc3_alignment_centred_worst": RunClaim("head rows point at class means, the worst class", WORST),
    "isometry_defect": RunClaim("the head is an isometry on their span"),
    "nc2_equinorm_w_centred": RunClaim("head rows have equal norms"),
    "nc2_equinorm_w_centred_worst": RunClaim("head rows have equal norms, the worst class", WORST),
    "nc2_equiangular_w_centred": RunClaim("head rows have equal angles"),
    "nc2_equiangular_w_centred_worst": RunClaim("head rows have equal angles, the worst pair", WORST),
    "nc4_mismatch": RunClaim("the classifier always picks the nearest class mean", EXACTLY),
    "accuracy": RunClaim("every training sample is classified right", EXACTLY),
}
"""By metric name, in the order of the table of verdicts; predicted names that are not here are not judged."""


def is_share(name: str, predicted: float) -> bool:
    """Whether the deviation of this metric is a share, for which its predicted value must not be 0."""
    return name in CLAIMS and CLAIMS[name].kind.relative and predicted != 0 and not math.isnan(predicted)


def unit_of(name: str, predicted: float, equal_outputs: float = math.nan) -> float:
    """What the difference of a measured and a predicted value is divided by to be a deviation.

    The predicted value where the deviation is a share of it; for a risk the way from it to the risk of equal outputs,
    where that is known; else 1.
    """
    if not is_share(name, predicted):
        return 1.0
    if CLAIMS[name].kind.of_range and equal_outputs > predicted:
        return equal_outputs - predicted
    return abs(predicted)


def tolerance_of_measure(metric: str, value: float, *, is_claimed: bool) -> float:
    """How far a measure of a study may be off, in its units: by the claim on a network's metric, else 5 % of its value.

    is_claimed: whether it is measured where claims are, on the training split's penultimate layer.
    """
    if not is_claimed or metric not in CLAIMS:
        return NETWORK * abs(value)
    kind = CLAIMS[metric].kind
    return kind.network * (abs(value) if kind.relative else 1.0)


def is_always_true(predicted: float, null: float) -> bool:
    """Whether any class means and weights have the predicted value, so that the claim cannot be false."""
    return predicted in (0, 1) and abs(null - predicted) < ALWAYS


def tolerance_of(name: str, null: float, *, predicted: float = 0.0, exact_in: str = "") -> float:
    """The largest deviation's size with which a claim holds.

    null: what random directions give, NaN where that says nothing. exact_in: the dtype of an unconstrained model with
    a proved minimiser, "" for networks and where nothing is proved.
    """
    kind = CLAIMS[name].kind
    if exact_in:
        return kind.exact[exact_in]
    if kind.half_of_null and predicted in (0, 1) and not math.isnan(null):
        return min(kind.network, abs(null - predicted) / 2)
    return kind.network

"""What a norm-bounded set has to know of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn


class ConstraintSet(nn.Module, ABC):
    """A set of matrices x (t, n, d), one for each of t trials, in which features, outputs or a head are kept.

    The rows of x are the features or outputs of n samples, or those of a head's weight. `radius` (t, 1, 1) holds one
    radius for each trial and broadcasts against x: float64, and in a model of the model's type. It is no part of the
    state_dict. `p` is the exponent of the norm, 2 if the configuration has none. No trial may depend on another.

    A subclass implements:

    - `bound(x)`, if `in_forward_pass`: the map x -> x' of a forward pass, row by row. x' lies in the set, and the
      gradient is finite everywhere, also at zero. x is float32 or float64.
    - `project(x)`, if `on_parameters`: the nearest point of the set in the Euclidean norm. A point inside is returned
      bit for bit, so that projecting twice changes nothing. It is called without a graph.
    - `statistics(x)` and `residual(statistics)`: by how much x lies outside, 0 inside, in units of the radius. x comes
      in batches of rows and is shared by several processes, so the residual is found in two steps: `statistics`
      returns float64 numbers (t, ...) for one batch, the elementwise maximum or sum over all batches and processes
      (`combine`) is taken, and `residual` turns it into one number for each trial (t,).

    The cube |x_j| <= radius, complete::

        class Cube(ConstraintSet):
            in_forward_pass, on_parameters, combine = True, True, "max"

            def bound(self, x):
                return x.clamp(-self.radius, self.radius)

            def project(self, x):
                return x.clamp(-self.radius, self.radius)

            def statistics(self, x):
                return (x.abs() / self.radius).amax((1, 2))

            def residual(self, statistics):
                return (statistics - 1).clamp(min=0)
    """

    radius: Tensor
    in_forward_pass: ClassVar[bool]
    on_parameters: ClassVar[bool]
    combine: ClassVar[Literal["max", "sum"]]

    def __init__(self, radii: Sequence[float], p: float = 2.0) -> None:
        super().__init__()
        self.p = p
        self.register_buffer("radius", torch.tensor(radii, dtype=torch.float64)[:, None, None], persistent=False)

    def forward(self, x: Float[Tensor, "t n d"]) -> Float[Tensor, "t n d"]:
        """`bound`, in float32 where x comes in bfloat16 under autocast: norms need more digits."""
        precise = x.float() if x.dtype == torch.bfloat16 else x
        return self.bound(precise.contiguous())

    def bound(self, x: Float[Tensor, "t n d"]) -> Float[Tensor, "t n d"]:
        """The map of a forward pass."""
        raise NotImplementedError(f"{type(self).__name__} has no map for a forward pass")

    def project(self, x: Float[Tensor, "t n d"]) -> Float[Tensor, "t n d"]:
        """The nearest point of the set."""
        raise NotImplementedError(f"{type(self).__name__} has no projection")

    @abstractmethod
    def statistics(self, x: Float64[Tensor, "t n d"]) -> Float64[Tensor, "t ..."]:
        """What one batch of rows adds to the residual."""

    @abstractmethod
    def residual(self, statistics: Float64[Tensor, "t ..."]) -> Float64[Tensor, "t"]:
        """The distance from the set in units of the radius, from the statistics of all rows; 0 inside, NaN for NaN."""

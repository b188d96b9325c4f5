"""The last layer of a classifier, as the metrics see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from nc_bench.metrics.class_geometry import centred, unit_for, zeroed_unless

OutputMap = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Head:
    """A last linear layer z = W h + b in float64, and a map of z that follows it, as the projection onto a ball."""

    weight: Float64[Tensor, "t k d"]
    bias: Float64[Tensor, "t k"] | None = None
    output_map: OutputMap | None = None

    def outputs(self, features: Float64[Tensor, "t n d"]) -> Float64[Tensor, "t n k"]:
        """h(x) = W f(x) + b in float64."""
        logits = features @ self.weight.mT
        if self.bias is not None:
            logits = logits + self.bias[:, None]
        return logits if self.output_map is None else self.output_map(logits)

    def usable(self) -> Bool[Tensor, "t"]:
        """Whether weight and bias are finite."""
        usable = self.weight.isfinite().all(-1).all(-1)
        return usable if self.bias is None else usable & self.bias.isfinite().all(-1)

    def zeroed_unless(self, usable: Bool[Tensor, "t"]) -> Head:
        """The same head, with weight and bias 0 for the trials that are not usable."""
        bias = None if self.bias is None else torch.where(usable[:, None], self.bias, 0)
        return replace(self, weight=zeroed_unless(usable, self.weight), bias=bias)

    def of_classes(self, kept: Bool[Tensor, "k"]) -> Head:
        """A head with these classes only."""
        return replace(self, weight=self.weight[:, kept], bias=None if self.bias is None else self.bias[:, kept])

    def without_common_part(self) -> Head:
        """A head whose outputs differ by one number for all classes: softmax does not see it, rounding does.

        An output map sees it too, so a head that has one stays as it is.
        """
        if self.output_map is not None:
            return self
        return replace(self, weight=centred(self.weight), bias=self._centred_bias())

    def _centred_bias(self) -> Float64[Tensor, "t k"] | None:
        if self.bias is None:
            return None
        # The sum of numbers near the largest of float64 is infinite; in a unit of their own it is not.
        unit = unit_for(self.bias.abs().amax(-1, keepdim=True))
        bias = self.bias / unit
        return (bias - bias.mean(-1, keepdim=True)) * unit

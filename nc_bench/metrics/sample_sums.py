"""What the second pass sums up over samples, for every trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from nc_bench.metrics.class_geometry import pooled_moments
from nc_bench.metrics.class_tables import ClassTables
from nc_bench.metrics.gather import Gather


@dataclass(kw_only=True)
class SampleSums:
    """Sums and maxima over samples; they add up over chunks, and over processes.

    Of the features h_i with class mean mu_y: |h_i - mu_y|^2 per class; <h_i - mu_y, mu_y - mu_c>^2 / |mu_y - mu_c|^4
    over the size of class y, summed over c; number, mean and sum of squared deviations of the lengths |h_i|; the square
    of h_i - mu_y along each direction of the span of the centred means; the largest |h_i - mu_y|, |h_i| and
    |h_i - mu|; how many are nearest to the centre of their class.
    Of the outputs z_i, 0 without a head: the loss per class, and the logarithm of `risk_balanced`; per class
    log((1/K) sum_j exp((P z_i)_j)), by which, less (P z_i)_y, the loss is above log K; how many are classified
    correctly, per class, and how many not as the nearest centre says; P (z_i - the class's output) summed per class, a
    single 0 for a linear head, of which the class means say it, and its square per class; the largest share of |P z_i|
    that is margin, -inf where every P z_i is 0.
    """

    squared_deviation: Float64[Tensor, "t k"]
    directional: Float64[Tensor, "t"]
    norms: Float64[Tensor, "t 3"]
    span_squares: Float64[Tensor, "t r"]
    largest_deviation: Float64[Tensor, "t"]
    largest_norm: Float64[Tensor, "t"]
    largest_centred_norm: Float64[Tensor, "t"]
    nearest_correct: Float64[Tensor, "t"]
    loss: Float64[Tensor, "t k"]
    log_risk_balanced: Float64[Tensor, "t"]
    log_mean_exp: Float64[Tensor, "t k"]
    correct: Float64[Tensor, "t k"]
    mismatched: Float64[Tensor, "t"]
    output_shift: Float64[Tensor, "t #k #k"]
    output_squares: Float64[Tensor, "t k"]
    output_efficiency: Float64[Tensor, "t"]

    @property
    def feature_radius(self) -> Float64[Tensor, "t"]:
        """min(max_i |h_i|, max_i |h_i - mu|)."""
        return torch.minimum(self.largest_norm, self.largest_centred_norm)

    @classmethod
    def none(cls, tables: ClassTables) -> SampleSums:
        """Those of no samples."""
        per_class, directions = torch.zeros_like(tables.counts), torch.zeros_like(tables.singular)
        number = per_class[:, 0]
        mapped = tables.head is not None and tables.head.logits.output_map is not None
        per_class_names = ("squared_deviation", "loss", "log_mean_exp", "correct", "output_squares")
        numbers = ("directional", "largest_deviation", "largest_norm", "largest_centred_norm")
        return cls(
            **dict.fromkeys(per_class_names, per_class),
            **dict.fromkeys((*numbers, "nearest_correct", "mismatched"), number),
            **dict.fromkeys(("log_risk_balanced", "output_efficiency"), number - torch.inf),
            norms=number[:, None].expand(-1, 3),
            span_squares=directions,
            output_shift=per_class[..., None] * per_class[:, None] if mapped else number[:, None, None],
        )

    def add(self, other: SampleSums) -> None:
        """Take in the sums over other samples."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            combine = _COMBINE.get(field.name, torch.add)
            setattr(self, field.name, combine(mine, theirs))

    @staticmethod
    def where(which: Bool[Tensor, "t"], these: SampleSums, others: SampleSums) -> SampleSums:
        """Some trials' sums from `these`, the rest from `others`."""
        names = [field.name for field in fields(SampleSums)]
        pairs = [(getattr(these, name), getattr(others, name)) for name in names]
        sums = [torch.where(which.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs]
        return SampleSums(**dict(zip(names, sums, strict=True)))

    def of_all(self, gather: Gather) -> SampleSums:
        """The sums over the samples of all processes."""
        names = [field.name for field in fields(self)]
        total, *others = (
            SampleSums(**dict(zip(names, tensors, strict=True)))
            for tensors in gather([getattr(self, name) for name in names])
        )
        for other in others:
            total.add(other)
        return total


_COMBINE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "norms": pooled_moments,
    "largest_deviation": torch.maximum,
    "largest_norm": torch.maximum,
    "largest_centred_norm": torch.maximum,
    "log_risk_balanced": torch.logaddexp,
    "output_efficiency": torch.maximum,
}

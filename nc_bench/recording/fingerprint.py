"""Whether two readings of a loader gave the same samples, in whatever order."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nc_bench.geometry.moments import ClassSums


class Fingerprint:
    """Number of samples and sum of features of every class: the same in any order of the samples."""

    def __init__(self) -> None:
        self.sums: ClassSums | None = None
        self.squares = 0.0
        self.epsilon = 0.0

    @property
    def samples(self) -> int:
        """Number of samples so far."""
        return 0 if self.sums is None else int(self.sums.counts.sum())

    def take_in(self, features: Float[Tensor, "n d"], labels: Int64[Tensor, "n"], classes: int) -> None:
        """Add the samples of a batch."""
        if self.sums is None:
            self.sums = ClassSums.none(features[None], classes)
        self.sums.take_in(features[None], labels[None])
        self.squares += float(features.to(torch.float64).square().sum())
        self.epsilon = torch.finfo(features.dtype).eps

    def differs_from(self, other: Fingerprint) -> str:
        """How the samples of another reading differ; empty if they do not.

        Another batch size rounds features otherwise, by far less than a thousand times their precision; what random
        augmentation changes in single samples is left in the class means, divided by the root of their number.
        """
        assert self.sums is not None
        if other.sums is None or self.samples != other.samples:
            return f"{self.samples} samples, then {other.samples}"
        if not torch.equal(self.sums.counts, other.sums.counts):
            return "other numbers of samples in the classes"
        shift = (self.sums.sums - other.sums.sums).norm(dim=-1) / self.sums.counts.clamp(min=1).sqrt()
        size = (self.squares / self.samples) ** 0.5
        return "other features" if float(shift.max()) > min(0.1, 1000 * self.epsilon) * size else ""

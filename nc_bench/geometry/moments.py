"""Counts, means and within-class scatter of labelled features, in one streaming, mergeable pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from nc_bench.geometry.arrays import Array, check_arrays, check_labels, classes_of, count_of, tensor_of

MAX_NUMBERS = 2**34
"""Most numbers in one of the tables, 137 GB in float64."""


@dataclass(kw_only=True)
class ClassSums:
    """Number of samples of every class and the sum of their features, for t trials; sums over chunks add up."""

    counts: Float64[Tensor, "t k"]
    sums: Float64[Tensor, "t k d"]

    @classmethod
    def none(cls, like: Float[Tensor, "t n d"], classes: int) -> ClassSums:
        """Those of no samples, for features of this shape."""
        trials, _, width = like.shape
        sums = like.new_zeros(trials, classes, width, dtype=torch.float64)
        return cls(counts=sums.new_zeros(trials, classes), sums=sums)

    @classmethod
    def of(cls, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"], classes: int) -> ClassSums:
        """Those of one chunk, summed in float64. Labels must lie in 0..classes-1; nothing is checked here."""
        found = cls.none(features, classes)
        found.take_in(features, labels)
        return found

    def take_in(self, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"]) -> None:
        """Add a chunk, summed in float64, without tables of its own. Labels are not checked."""
        trials, classes = self.counts.shape
        width = features.shape[-1]
        rows = flat_labels(labels, classes).reshape(-1)
        self.sums.view(-1, width).index_add_(0, rows, features.reshape(-1, width).to(torch.float64))
        self.counts = self.counts + torch.bincount(rows, minlength=trials * classes).view(trials, classes)

    def add(self, other: ClassSums) -> None:
        """Take in the sums over other samples."""
        self.counts = self.counts + other.counts
        self.sums += other.sums

    def means(self, *, empty: float) -> Float64[Tensor, "t k d"]:
        """Class means; the mean of a class without samples is filled with `empty`."""
        means = self.sums / self.counts.clamp(min=1)[..., None]
        return torch.where(self.counts[..., None] > 0, means, empty)


def flat_labels(labels: Int64[Tensor, "t n"], classes: int) -> Int64[Tensor, "t n"]:
    """The row of every sample's class in a table (t, K, ...) whose first two axes are made one: y + t K."""
    first = torch.arange(labels.shape[0], device=labels.device) * classes
    return labels + first[:, None]


class ClassMoments:
    """Counts, class means and within-class scatter, streaming and mergeable in any order.

    State, in float64: ``counts`` (K,), ``means`` (K, d), ``within_scatter`` (d, d), the *sum*
    sum_i (h_i - mu_{y_i})(h_i - mu_{y_i})^T and not its mean S_W = ``within_scatter`` / N.
    Blocks are centred before they are multiplied, so features far from the origin lose no digits, and merged class by
    class (Chan, Golub & LeVeque 1979): S = S_a + S_b + n_a n_b / (n_a + n_b) (mu_a - mu_b)(mu_a - mu_b)^T.
    At exact collapse ``within_scatter`` is 0.
    The mean of a class without samples is NaN. Memory: K d + d^2 numbers and one block.

    Tensors, NumPy arrays, pandas tables and lists are taken alike.

    Raises ValueError for what is no array of numbers or no count, arrays of the wrong shape, mismatched lengths, or
    labels outside 0..K-1.
    """

    def __init__(self, classes: Any, width: Any) -> None:
        classes, width = classes_of(classes), count_of("width", width)
        if max(classes, width) * width > MAX_NUMBERS:
            raise ValueError(f"moments of {classes} classes and width {width} have more than {MAX_NUMBERS} numbers")
        self.classes, self.width = classes, width
        self._sums = ClassSums(
            counts=torch.zeros(1, classes, dtype=torch.float64),
            sums=torch.zeros(1, classes, width, dtype=torch.float64),
        )
        self.within_scatter = torch.zeros(width, width, dtype=torch.float64)

    @property
    def counts(self) -> Float64[Tensor, "k"]:
        """Number of samples of every class."""
        return self._sums.counts[0]

    @property
    def means(self) -> Float64[Tensor, "k d"]:
        """Class means, NaN for a class without samples."""
        return self._sums.means(empty=torch.nan)[0]

    def update(self, features: Array, labels: Array) -> None:
        """Take in one block of samples: features (N, d) of any floating dtype, labels (N,) of any integer dtype."""
        features, labels = tensor_of("features", features), tensor_of("labels", labels)
        check_arrays(features, labels)
        labels = labels.to(features.device, torch.int64)
        check_labels(labels, self.classes)
        if features.shape[-1] != self.width:
            raise ValueError(f"features have width {features.shape[-1]}, the moments {self.width}")
        self._to(features.device)
        block = ClassSums.of(features[None], labels[None], self.classes)
        deviations = features.to(torch.float64) - block.means(empty=0.0)[0][labels]
        self._absorb(block, deviations)

    def merge(self, other: Any) -> None:
        """Take in the moments of other samples; any order gives the same result up to rounding."""
        if not isinstance(other, ClassMoments):
            raise ValueError(f"only other ClassMoments can be merged, got {type(other).__name__}")
        if (self.classes, self.width) != (other.classes, other.width):
            mine, theirs = (self.classes, self.width), (other.classes, other.width)
            raise ValueError(f"cannot merge moments of (classes, width) {theirs} into {mine}")
        self._to(other.counts.device)
        scatter = other.within_scatter
        self._absorb(other._sums, scatter.new_empty(0, self.width))
        self.within_scatter += scatter

    def _absorb(self, block: ClassSums, deviations: Float64[Tensor, "n d"]) -> None:
        """One product for both parts: within the block, and between the block's means and those so far."""
        pairs = self.counts * block.counts[0] / (self.counts + block.counts[0]).clamp(min=1)
        shift = block.means(empty=0.0)[0] - self._sums.means(empty=0.0)[0]
        stacked = torch.cat([deviations, pairs.sqrt()[:, None] * shift])
        self.within_scatter += stacked.T @ stacked
        self._sums.add(block)

    def _to(self, device: torch.device) -> None:
        self._sums = ClassSums(counts=self._sums.counts.to(device), sums=self._sums.sums.to(device))
        self.within_scatter = self.within_scatter.to(device)

"""Counts, means and within-class scatter of labelled features, in one streaming, mergeable pass."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor


def class_sums(
    features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"], classes: int
) -> tuple[Float64[Tensor, "t k"], Float64[Tensor, "t k d"]]:
    """Number of samples per class, and their sum, in float64 for every trial on the leading axis.

    Labels must lie in 0..classes-1; nothing is checked here.
    """
    trials, _, width = features.shape
    slots = flat_slots(labels, classes).reshape(-1)
    sums = features.new_zeros(trials * classes, width, dtype=torch.float64)
    sums.index_add_(0, slots, features.reshape(-1, width).to(torch.float64))
    counts = torch.bincount(slots, minlength=trials * classes).to(torch.float64)
    return counts.view(trials, classes), sums.view(trials, classes, width)


def flat_slots(labels: Int64[Tensor, "t n"], classes: int) -> Int64[Tensor, "t n"]:
    """Index of (trial, label) in an array whose first two axes (t, k) were flattened."""
    first = torch.arange(labels.shape[0], device=labels.device) * classes
    return labels + first[:, None]


class ClassMoments:
    """Counts, class means and within-class scatter, streaming and mergeable in any order.

    State, in float64: ``counts`` (K,), ``means`` (K, d), ``within_scatter`` (d, d), the *sum*
    sum_i (h_i - mu_{y_i})(h_i - mu_{y_i})^T, not its mean (METRICS.md's S_W is ``within_scatter`` / N).
    Blocks are centred before they are multiplied and merged by the formula of Chan, Golub and LeVeque
    (1979), so features far from the origin lose no digits. At exact collapse ``within_scatter`` is 0.
    The mean of a class without samples is NaN. Memory: K*d + d*d + one block.

    Raises ValueError for arrays of the wrong shape, mismatched lengths, or labels outside 0..K-1.
    """

    def __init__(self, classes: int, width: int) -> None:
        if classes < 1 or width < 1:
            raise ValueError(f"classes and width must be positive, got {classes} and {width}")
        self.classes, self.width = classes, width
        self.counts = torch.zeros(classes, dtype=torch.float64)
        self._means = torch.zeros(classes, width, dtype=torch.float64)
        self.within_scatter = torch.zeros(width, width, dtype=torch.float64)

    @property
    def means(self) -> Float64[Tensor, "k d"]:
        """Class means, NaN for a class without samples."""
        return torch.where(self.counts[:, None] > 0, self._means, torch.nan)

    def update(self, features: Tensor, labels: Tensor) -> None:
        """Take in one block of samples: features (N, d) of any floating dtype, labels (N,) of any integer dtype."""
        check_arrays(features, labels)
        features, labels = features.detach(), labels.long()
        check_labels(labels, self.classes)
        if features.shape[-1] != self.width:
            raise ValueError(f"features have width {features.shape[-1]}, the moments {self.width}")
        if features.shape[0] == 0:
            return
        self._to(features.device)
        counts, sums = class_sums(features[None], labels[None], self.classes)
        means = sums[0] / counts[0].clamp(min=1)[:, None]
        deviations = features.to(torch.float64) - means[labels]
        self._absorb(counts[0], means, deviations)

    def merge(self, other: ClassMoments) -> None:
        """Take in the moments of other samples; any order gives the same result up to rounding."""
        if (self.classes, self.width) != (other.classes, other.width):
            mine, theirs = (self.classes, self.width), (other.classes, other.width)
            raise ValueError(f"cannot merge moments of (classes, width) {theirs} into {mine}")
        self._to(other.counts.device)
        scatter = other.within_scatter
        self._absorb(other.counts, other._means, scatter.new_empty(0, self.width))
        self.within_scatter += scatter

    def _absorb(
        self, counts: Float64[Tensor, "k"], means: Float64[Tensor, "k d"], deviations: Float64[Tensor, "n d"]
    ) -> None:
        total = self.counts + counts
        share = counts / total.clamp(min=1)
        shift = means - self._means
        # One product for both parts: within the block, and between the block's means and the old ones.
        between = (self.counts * share).sqrt()[:, None] * shift
        stacked = torch.cat([deviations, between])
        self.within_scatter += stacked.T @ stacked
        self._means = self._means + share[:, None] * shift
        self.counts = total

    def _to(self, device: torch.device) -> None:
        self.counts, self._means = self.counts.to(device), self._means.to(device)
        self.within_scatter = self.within_scatter.to(device)


def check_arrays(features: Tensor, labels: Tensor) -> None:
    """ValueError unless features are (N, d) floating with d > 0, and labels (N,) integers."""
    if features.ndim != 2 or features.shape[1] == 0 or not features.is_floating_point():
        raise ValueError(f"features must be a floating (N, d) array, got {tuple(features.shape)} {features.dtype}")
    if labels.ndim != 1 or labels.is_floating_point() or labels.is_complex():
        raise ValueError(f"labels must be an integer (N,) array, got {tuple(labels.shape)} {labels.dtype}")
    if features.shape[0] != labels.shape[0]:
        raise ValueError(f"{features.shape[0]} features but {labels.shape[0]} labels")


def check_labels(labels: Int64[Tensor, "n"], classes: int) -> None:
    """ValueError unless all labels lie in 0..classes-1."""
    if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        low, high = int(labels.min()), int(labels.max())
        raise ValueError(f"labels must lie in 0..{classes - 1}, got values from {low} to {high}")

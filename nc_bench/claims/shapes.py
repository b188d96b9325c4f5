"""What claims read off solutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.claims.solve import Solution

EXACT = 1e-8
"""Relative, of objectives: what is asked wherever the problem is well conditioned."""

LENGTHS = 1e-6
"""Of lengths, cosines and defects: an objective is quadratic at its minimum, so they have fewer digits than it."""


def worst(solutions: Callable[[], Sequence[Solution]]) -> float:
    """The largest objective: every start has to arrive."""
    return max(solution.objective for solution in solutions())


def class_means(solution: Solution) -> Float[Tensor, "k d"]:
    """Mean feature of every class."""
    return torch.stack([solution.features[solution.labels == k].mean(0) for k in solution.labels.unique()])


def cosines(rows: Float[Tensor, "k d"]) -> Float[Tensor, "pairs"]:
    """Cosines of all pairs of rows."""
    first, second = torch.triu_indices(len(rows), len(rows), 1)
    return torch.nn.functional.cosine_similarity(rows[first], rows[second], dim=1)

"""Which classes a hyperplane separates: whether the convex hulls of their features meet."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from numpy.typing import NDArray
from scipy.optimize import linprog
from torch import Tensor

TOUCHING = 1e-7
"""Hulls nearer to each other than this share of the largest entry count as meeting."""


def hull_overlap(features: Float[Tensor, "n d"], labels: Int[Tensor, "n"]) -> float:
    """Share of the pairs of classes whose convex hulls meet: 0 where every two are linearly separable, and at collapse.

    Features (n, d) of any float type, labels (n,) whole numbers; classes without samples have no pairs. A linear
    programme a pair, up to (n_c + n_c') x d numbers each; pairs that the difference of their means separates need none.
    Hulls that touch meet: the decision is made to 1e-7 of the largest entry.

    Where hulls meet two layers before the output, a shallow network above them need not collapse, as three neurons do
    not (E & Wojtowytsch 2021, end of section 5.2 and Lemma 5.8).
    Raises ValueError for fewer than two classes, features that are not finite, or shapes that do not fit.
    """
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(f"features (n, d) and labels (n,) do not fit: {tuple(features.shape)}, {tuple(labels.shape)}")
    if not bool(torch.isfinite(features).all()):
        raise ValueError("hull_overlap needs finite features")
    exact = features.detach().to("cpu", torch.float64)
    clouds = [exact[labels.cpu() == label] for label in labels.unique().cpu()]
    if len(clouds) < 2:
        raise ValueError(f"hull_overlap needs at least two classes with samples, got {len(clouds)}")
    pairs = list(combinations(clouds, 2))
    return sum(_meet(first, second) for first, second in pairs) / len(pairs)


def _meet(first: Float64[Tensor, "n d"], second: Float64[Tensor, "m d"]) -> bool:
    """Centred and scaled first, so that neither a far origin nor the units count."""
    both = torch.cat([first, second])
    both = both - both.mean(0)
    size = float(both.abs().max())
    if size == 0:
        return True
    first, second = (both / size).split([len(first), len(second)])
    towards = first.mean(0) - second.mean(0)
    length = float(towards.norm())
    gap = float((first @ towards).min() - (second @ towards).max())
    # The maximum norm of a difference is at least its part along a direction over that direction's sum of entries.
    if length > 0 and gap > 2 * TOUCHING * float(towards.abs().sum()):
        return False
    return _distance(first.numpy(), second.numpy()) <= TOUCHING


def _distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Between the hulls, in the maximum norm: min e with |sum_i a_i x_i - sum_j b_j y_j| <= e in every entry.

    a, b >= 0 sum to 1 each.
    """
    n, m, width = len(first), len(second), first.shape[1]
    difference, slack = np.hstack([first.T, -second.T]), np.full((width, 1), -1.0)
    bounds = np.vstack([np.hstack([difference, slack]), np.hstack([-difference, slack])])
    sums = np.zeros((2, n + m + 1))
    sums[0, :n] = sums[1, n : n + m] = 1
    found = linprog(
        np.append(np.zeros(n + m), 1.0), bounds, np.zeros(2 * width), sums, np.ones(2), method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )  # fmt: skip
    if not found.success:
        raise RuntimeError(f"the distance of two convex hulls was not found: {found.message}")
    return float(found.fun)

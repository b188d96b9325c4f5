"""What layers and weights say together: the law of equi-separation, what a weight reads of its input, stable ranks.

Definitions, nulls and sources: docs/metrics.md, "Through the layers".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from nc_bench.metrics.class_geometry import EPS, centred, rank_cutoff, unit_for

LEAST_LAYERS = 3
"""Through two points there is always a straight line."""

NUMBERS, MOST_DRAWS, SEED = 2**20, 1024, 0
"""Random numbers in the Monte Carlo of angles; the larger the subspaces, the fewer draws are needed."""


def equi_separation(spreads: Sequence[float]) -> tuple[float, float, str]:
    """Slope and Pearson r of log D against depth 0, 1, 2, ..; and why they are NaN, "" if they are not.

    spreads: D = tr(S_W S_B^+), or any multiple of it, layer by layer from the input's side. By the law of He & Su
    (2023) D shrinks by the same factor e^slope from layer to layer, so that r = -1. Where D is the same at every layer
    the slope is 0 and only r is NaN.
    """
    if len(spreads) < LEAST_LAYERS:
        return math.nan, math.nan, f"a law of depth needs {LEAST_LAYERS} recorded layers, not {len(spreads)}"
    if not all(0 < spread < math.inf for spread in spreads):
        return math.nan, math.nan, "tr(S_W S_B^+) is undefined or 0 at a recorded layer"
    logs = [math.log(spread) for spread in spreads]
    depths = [place - (len(logs) - 1) / 2 for place in range(len(logs))]
    mean = math.fsum(logs) / len(logs)
    along = math.fsum(depth * (log - mean) for depth, log in zip(depths, logs, strict=True))
    squares = math.fsum(depth * depth for depth in depths)
    spread = math.fsum((log - mean) ** 2 for log in logs)
    if max(logs) == min(logs):
        return 0.0, math.nan, "tr(S_W S_B^+) is the same at every recorded layer"
    return along / squares, along / math.sqrt(squares * spread), ""


def mean_directions(means: Float64[Tensor, "k d"]) -> Float64[Tensor, "r d"]:
    """An orthonormal basis of the span of the rows mu_c - mu, r = min(K-1, d) at most."""
    rows = means[None]
    return _directions(centred(rows)[0], float(rank_cutoff(rows)))[: len(means) - 1]


def row_directions(weight: Float64[Tensor, "o d"]) -> Float64[Tensor, "m d"]:
    """An orthonormal basis of the row space, the directions of the largest singular values first."""
    return _directions(weight, None)


def principal_angles(first: Float64[Tensor, "r d"], second: Float64[Tensor, "m d"]) -> Float64[Tensor, "n"]:
    """The n = min(r, m) principal angles between the spans of two orthonormal bases, in radians, smallest first.

    From cosines, and from sines where these are the smaller: both ends are exact to rounding (Knyazev & Argentati
    2002). Empty where a basis is.
    """
    if len(first) < len(second):
        first, second = second, first
    products = first @ second.mT
    cosines = torch.linalg.svdvals(products).clamp(max=1)
    sines = torch.linalg.svdvals(second - products.mT @ first).flip(-1).clamp(max=1)
    return torch.where(cosines.square() >= 0.5, torch.arcsin(sines), torch.arccos(cosines))


def stable_rank(matrix: Float64[Tensor, "n d"]) -> float:
    """|A|_F^2 / |A|_op^2, between 1 and the rank; NaN for a matrix that is zero or not finite."""
    largest = matrix.abs().amax() if matrix.numel() else matrix.new_zeros(())
    if not (bool(largest.isfinite()) and largest > 0):
        return math.nan
    scaled = matrix / unit_for(largest)
    gram = scaled.mT @ scaled if scaled.shape[0] >= scaled.shape[1] else scaled @ scaled.mT
    return float(gram.trace() / torch.linalg.eigvalsh(gram)[-1])


def kernel_share(features: Float64[Tensor, "n d"], weight: Float64[Tensor, "k d"]) -> float:
    """sum_i |P h_i|^2 / sum_i |h_i|^2, P the projection onto the kernel of Wc, the weight minus its mean row.

    So much of the features changes no difference of two outputs. 0 at a collapsed optimum centred at 0, and where Wc
    has rank d; NaN where all features are zero, all rows of the weight are equal, or something is not finite.
    """
    largest, heaviest = features.abs().amax(), weight.abs().amax()
    if not (bool(largest.isfinite()) and bool(heaviest.isfinite()) and largest > 0):
        return math.nan
    scaled, rows = features / unit_for(largest), (weight / unit_for(heaviest))[None]
    basis = _directions(centred(rows)[0], float(rank_cutoff(rows)))
    if not len(basis):
        return math.nan
    if len(basis) == weight.shape[-1]:
        return 0.0
    unread = scaled - (scaled @ basis.mT) @ basis
    return float(unread.square().sum() / scaled.square().sum())


def random_angles(directions: int, rank: int, width: int) -> tuple[float, float]:
    """Mean and largest principal angle, in expectation, between random subspaces of these dimensions in R^width.

    Monte Carlo with a fixed seed, to about 2 %; 0 where one of them is everything. By symmetry one subspace is that of
    the first coordinates, so that only the smaller is drawn.
    """
    small, large = sorted((min(directions, width), min(rank, width)))
    if small == 0:
        return math.nan, math.nan
    if large == width:
        return 0.0, 0.0
    random = torch.Generator().manual_seed(SEED)
    number = min(max(NUMBERS // (width * small), 8), MOST_DRAWS)
    draws = torch.randn(number, width, small, generator=random, dtype=torch.float64)
    cosines = torch.linalg.svdvals(torch.linalg.qr(draws).Q[:, :large]).clamp(max=1)
    angles = torch.arccos(cosines)
    return float(angles.mean()), float(angles.amax(-1).mean())


def random_stable_rank(rows: int, columns: int) -> float:
    """About the stable rank of a random Gaussian matrix: n d / (sqrt n + sqrt d)^2 (Marchenko & Pastur 1967)."""
    return rows * columns / (math.sqrt(rows) + math.sqrt(columns)) ** 2


def _directions(rows: Float64[Tensor, "k d"], cutoff: float | None) -> Float64[Tensor, "r d"]:
    """Right singular vectors whose singular values are above the cutoff (None: rounding of the largest)."""
    _, singular, basis = torch.linalg.svd(rows, full_matrices=False)
    limit = max(rows.shape) * EPS * singular[:1] if cutoff is None else cutoff
    return basis[singular > limit]

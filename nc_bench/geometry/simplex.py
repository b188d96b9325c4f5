"""Regular simplices: their vertices, and the plane on which they are drawn."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64
from torch import Tensor


def simplex_vertices(
    classes: int, width: int, *, radius: float = 1.0, generator: torch.Generator | None = None
) -> Float64[Tensor, "k d"]:
    """K vertices y_i in R^width with sum_i y_i = 0, |y_i| = radius and cos(y_i, y_j) = -1/(K-1).

    They lie in the first K-1 coordinates, or, with a generator, on an orthonormal frame drawn uniformly at
    random. On the CPU, in float64 and exact to its rounding. These are the optimal features of
    E & Wojtowytsch 2021, Cor. 4.2, with radius R.

    Raises ValueError for fewer than two classes, a width below K-1, where there is no such simplex, or a
    radius that is no positive number.
    """
    if classes < 2:
        raise ValueError(f"a simplex needs at least 2 classes, got {classes}")
    if width < classes - 1:
        raise ValueError(f"a simplex of {classes} classes needs a width of at least {classes - 1}, got {width}")
    if not 0 < radius < math.inf:
        raise ValueError(f"radius must be a positive number, got {radius}")
    vertices = _centred_basis(classes) * (radius * math.sqrt(classes / (classes - 1)))
    if generator is None:
        return torch.nn.functional.pad(vertices, (0, width - classes + 1))
    return vertices @ _random_frame(width, classes - 1, generator).T


def polygon_frame(means: Float64[Tensor, "k d"]) -> tuple[Float64[Tensor, "k d"], Float64[Tensor, "d 2"]]:
    """The simplex of unit radius nearest to these class means, and a plane in which its vertices form a K-gon.

    With M = U S V^T the centred means, the nearest simplex (orthogonal Procrustes) has vertices
    sqrt(K/(K-1)) U V^T. The plane is spanned by the images of cos(2 pi c/K) and sin(2 pi c/K), so vertex c lies
    at angle 2 pi c/K, at sqrt(2/(K-1)) of its radius. For two classes the second axis is 0 and free to be chosen.
    """
    classes = means.shape[0]
    centred = means - means.mean(0)
    left, _, basis = torch.linalg.svd(centred, full_matrices=False)
    keep = min(classes - 1, means.shape[1])
    isometry = left[:, :keep] @ basis[:keep]
    angles = 2 * math.pi / classes * torch.arange(classes, dtype=means.dtype, device=means.device)
    waves = torch.stack([angles.cos(), angles.sin()], 1)
    waves = waves / torch.linalg.vector_norm(waves, dim=0).clamp(min=1e-9)
    plane = isometry.T @ waves
    if classes == 2:
        plane[:, 1] = 0
    return math.sqrt(classes / max(classes - 1, 1)) * isometry, plane


def _centred_basis(classes: int) -> Float64[Tensor, "k j"]:
    """Helmert's orthonormal basis of the vectors with sum zero, as columns."""
    column = torch.arange(1, classes, dtype=torch.float64)
    row = torch.arange(classes, dtype=torch.float64).unsqueeze(1)
    entries = torch.where(row < column, 1.0, torch.where(row == column, -column, 0.0))
    return entries / torch.sqrt(column * (column + 1))


def _random_frame(width: int, vectors: int, generator: torch.Generator) -> Float64[Tensor, "d j"]:
    """Orthonormal columns, uniformly distributed: QR of a Gaussian matrix with R's diagonal made positive."""
    gaussian = torch.randn(width, vectors, dtype=torch.float64, generator=generator)
    frame, triangle = torch.linalg.qr(gaussian)
    return frame * triangle.diagonal().sign()

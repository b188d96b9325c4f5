"""The ball of the spectral norm: projection of matrices and distance from it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from nc_bench.geometry.balls import rounding_slack, row_limit

# Up to this many radii one sweep of the projection is exact to 1e-15.
_FAR = 2.0


@torch.no_grad()
def clip_spectral(weight: Float[Tensor, "*trials k d"], radius: float | Tensor = 1.0) -> Float[Tensor, "*trials k d"]:
    """The nearest matrix, in the Frobenius norm, of spectral norm at most radius: singular values clipped.

    U diag(min(1, radius / s)) U^T W, where U diagonalises the smaller of the two Gram matrices and s are
    the norms of the rows of U^T W. A matrix inside the ball is returned bit for bit. The result is feasible
    to rounding (1e-14 in float64) and carries no gradient. It is exact to rounding near the ball; singular
    values far above the radius blur the others, by about 1e-16 (s_max / radius)^2. A matrix with a NaN or
    an infinity is returned as it is. Raises ValueError for a radius that is no positive number.
    """
    if weight.shape[-2] > weight.shape[-1]:
        return clip_spectral(weight.mT, radius).mT
    exact = weight.to(torch.float64)
    finite = _peak(exact) < math.inf
    exact = torch.where(finite, exact, 0.0)
    limit = row_limit(radius, exact[..., 0, 0])
    # Computed eigenvectors are orthonormal to about this, and singular values no better.
    blur = (24 + weight.shape[-2] / 5) * torch.finfo(exact.dtype).eps
    slack = max(rounding_slack(weight.dtype), blur)
    exact, far = _clip_once(exact, limit, slack)
    if far:
        # Of singular values far apart, the first sweep leaves some slightly too large; the second sees it.
        exact, _ = _clip_once(exact, limit, slack)
    return torch.where(finite, exact.to(weight.dtype), weight)


def _clip_once(weight: Tensor, limit: Tensor, slack: float) -> tuple[Tensor, bool]:
    """One sweep, and whether a singular value was so far outside that rounding asks for another."""
    unit = _peak(weight).clamp(min=torch.finfo(weight.dtype).tiny)
    scaled, limit = weight / unit, limit / unit.squeeze(-1)
    basis = torch.linalg.eigh(scaled @ scaled.mT).eigenvectors
    components = basis.mT @ scaled
    singular = torch.linalg.vector_norm(components, dim=-1)
    outside = singular > limit * (1 + slack)
    shrink = torch.where(outside, limit / singular, 1.0)
    clipped = basis @ (shrink.unsqueeze(-1) * components) * unit
    far = bool((singular > _FAR * limit).any())
    return torch.where(outside.any(dim=-1)[..., None, None], clipped, weight), far


def _peak(matrix: Tensor) -> Tensor:
    return matrix.abs().amax(dim=(-2, -1), keepdim=True)


@torch.no_grad()
def spectral_residual(
    weight: Float[Tensor, "*trials k d"], radius: Float[Tensor, "*trials"]
) -> Float64[Tensor, "*trials"]:
    """max(0, |W|_op / radius - 1) in float64; NaN for a matrix with a NaN or an infinity, and for that one only."""
    exact = weight.to(torch.float64)
    # The SVD refuses a batch with one NaN in it, and a diverged trial must not take the others along.
    finite = exact.isfinite().flatten(-2).all(-1)
    norms = torch.linalg.matrix_norm(torch.where(finite[..., None, None], exact, 0.0), 2)
    norms = torch.where(finite, norms, torch.nan)
    return (norms / radius - 1).clamp(min=0)

"""l^p balls, the sphere and the mean square ball: norms, radial maps for forward passes, Euclidean projections.

Every function takes vectors on the last axis and broadcasts over the rest. A radius is a positive number, or a tensor
that broadcasts against the remaining axes: for features (t, n, d) one radius per trial has shape (t, 1). Numbers are
checked; tensors are not, because a check would wait for the device.

The projections compute in float64 whatever they are given. A norm within 4 units in the last place of the radius
counts as inside, so projecting a second time changes no bit.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.functional import softplus

_MOST_STEPS = 100

# torch's default threshold of 20 is wrong by 2e-9 in float64.
_softplus = partial(softplus, threshold=40.0)


def lp_norm(x: Float[Tensor, "*rows d"], p: float = 2.0) -> Float[Tensor, "*rows"]:
    """(sum_j |x_j|^p)^(1/p), or max_j |x_j| for p = infinity, in the type of x; the gradient at zero is zero.

    Nothing overflows or underflows on the way unless the norm itself does. Raises ValueError for p below 1.
    """
    if not p >= 1:
        raise ValueError(f"p must be at least 1, got {p}")
    peak = x.detach().abs().amax(dim=-1)
    unit = torch.where((peak > 0) & (peak < math.inf), peak, 1.0)
    return unit * torch.linalg.vector_norm(x / unit.unsqueeze(-1), p, dim=-1)


def radial_ball(x: Float[Tensor, "*rows d"], radius: float | Tensor, p: float = 2.0) -> Float[Tensor, "*rows d"]:
    """x min(1, radius / |x|_p): every vector shrunk onto the l^p ball along its own ray.

    This is the map for forward passes (E & Wojtowytsch 2021, section 4: |f(x)| <= R): inside the ball it is
    the identity bit for bit, the result is feasible to the rounding of x's type, and the gradient is finite
    everywhere, also at zero. For p = 2 it equals the Euclidean projection, for other p it does not.
    Raises ValueError for a radius that is no positive number, or p below 1.
    """
    norm = lp_norm(x, p).unsqueeze(-1)
    limit = row_limit(radius, norm)
    # Two tensors divide exactly to 1 inside the ball; a number over a tensor need not.
    return x * (limit / torch.maximum(norm, limit))


@torch.no_grad()
def project_ball(x: Float[Tensor, "*rows d"], radius: float | Tensor, p: float = 2.0) -> Float[Tensor, "*rows d"]:
    """The nearest point of the l^p ball to every vector: argmin |z - x|_2 under |z|_p <= radius.

    p = 2: x radius / |x|; p = infinity: entries cut at the radius; p = 1: all shortened by one number, those that are
    smaller to 0. Other p: Newton's method, to about 1e-14 of the radius in float64.
    Vectors inside the ball are returned bit for bit, and signs and zeros are kept, so after
    ``clamp(min=0)`` the result is the projection onto the non-negative part of the ball. The result carries
    no gradient. Vectors with a NaN keep it. Raises ValueError as ``radial_ball`` does.
    """
    exact = x.to(torch.float64)
    norm = lp_norm(exact, p).unsqueeze(-1)
    limit = row_limit(radius, norm)
    outside = norm > limit * (1 + rounding_slack(x.dtype))
    if p == 2:
        projected = exact / norm * limit
    elif p == math.inf:
        projected = torch.minimum(torch.maximum(exact, -limit), limit)
    elif p == 1:
        projected = _shortened(exact, limit)
    else:
        exact, limit = torch.broadcast_tensors(exact, limit)
        rows = outside.expand(exact.shape)[..., 0]
        projected = exact.clone()
        projected[rows] = _project_outside(exact[rows], limit[rows][:, :1], p)
    return torch.where(outside, projected.to(x.dtype), x)


@torch.no_grad()
def ball_residual(
    x: Float[Tensor, "*trials n d"], radius: float | Tensor, p: float = 2.0
) -> Float64[Tensor, "*trials"]:
    """max over the n vectors of max(0, |x|_p / radius - 1), in float64; 0 where all are inside.

    NaN if a vector holds a NaN. Raises ValueError as ``radial_ball`` does.
    """
    norm = lp_norm(x.to(torch.float64), p).unsqueeze(-1)
    excess = norm / row_limit(radius, norm) - 1
    return excess.squeeze(-1).clamp(min=0).amax(dim=-1)


def radial_sphere(x: Float[Tensor, "*rows d"], radius: float | Tensor) -> Float[Tensor, "*rows d"]:
    """x radius / |x|_2: every vector moved onto the sphere along its own ray; zero has no ray and stays zero.

    The normalization of a forward pass, feasible to the rounding of x's type. The gradient is finite everywhere, also
    at zero. Raises ValueError for a radius that is no positive number.
    """
    norm = lp_norm(x).unsqueeze(-1)
    return x * (row_limit(radius, norm) / torch.where(norm > 0, norm, 1.0))


@torch.no_grad()
def project_sphere(x: Float[Tensor, "*rows d"], radius: float | Tensor) -> Float[Tensor, "*rows d"]:
    """The nearest point of the Euclidean sphere to every vector: x radius / |x|, and zero stays zero.

    Vectors on the sphere up to rounding are returned bit for bit. The result carries no gradient. Vectors with a NaN
    keep it. Raises ValueError for a radius that is no positive number.
    """
    exact = x.to(torch.float64)
    norm = lp_norm(exact).unsqueeze(-1)
    limit = row_limit(radius, norm)
    off = (norm - limit).abs() > limit * rounding_slack(x.dtype)
    return torch.where(off, radial_sphere(exact, radius).to(x.dtype), x)


@torch.no_grad()
def sphere_residual(x: Float[Tensor, "*trials n d"], radius: float | Tensor) -> Float64[Tensor, "*trials"]:
    """max over the n vectors of | |x|_2 / radius - 1 |, in float64; 0 where all are on the sphere.

    NaN if a vector holds a NaN. Raises ValueError for a radius that is no positive number.
    """
    norm = lp_norm(x.to(torch.float64)).unsqueeze(-1)
    return (norm / row_limit(radius, norm) - 1).abs().squeeze(-1).amax(dim=-1)


def project_mean_square(rows: Float[Tensor, "*trials n d"], radius: float | Tensor) -> Float[Tensor, "*trials n d"]:
    """The nearest matrix whose rows have a root mean square norm of at most radius, one radius (*trials) per matrix.

    A Euclidean ball of radius sqrt(n) radius around the origin: all rows are scaled alike, and a matrix inside is
    returned bit for bit. The result carries no gradient. Raises ValueError as ``project_ball`` does.
    """
    return project_ball(rows.flatten(-2), radius * math.sqrt(rows.shape[-2])).view_as(rows)


def row_limit(radius: float | Tensor, like: Tensor) -> Tensor:
    """The radius in the type and on the device of ``like``, with a last axis of length 1."""
    largest = torch.finfo(like.dtype).max
    if isinstance(radius, Tensor):
        # A radius beyond the type would be infinite there, and its ratio to anything NaN.
        return radius.to(like).unsqueeze(-1).clamp(max=largest)
    if not 0 < radius < math.inf:
        raise ValueError(f"radius must be a positive number, got {radius}")
    return like.new_full((1,), min(radius, largest))


def rounding_slack(dtype: torch.dtype) -> float:
    """Relative excess over a radius that counts as rounding: 4 units in the last place."""
    return 4 * torch.finfo(dtype).eps


def _project_outside(x: Float64[Tensor, "n d"], radius: Float64[Tensor, "n 1"], p: float) -> Float64[Tensor, "n d"]:
    """Projection of vectors outside the l^p ball, p != 2.

    With u = |x| / radius and w = |z| / radius the optimality conditions are w_j + lam w_j^(p-1) = u_j and
    |w|_p = 1. They imply 0 < lam <= |u|_q with 1/p + 1/q = 1. log |w(lam)|_p is nearly linear in
    log(1 + lam), so Newton's method finds the distance of log(1 + lam) below its upper end in less than ten
    steps; a bracket guards it. All is done in logarithms of u_j / max u: no magnitude is too large or small.
    """
    peak = x.abs().amax(dim=-1, keepdim=True)
    log_u = (x.abs() / peak).clamp(min=torch.finfo(x.dtype).tiny).log()
    scale = radius.log() - peak.log()
    dual = torch.logsumexp(log_u * (p / (p - 1)), dim=-1, keepdim=True) * ((p - 1) / p)
    end = _softplus(dual - scale)
    below = _first_guess(log_u, scale, end, p)
    low, high = torch.zeros_like(end), end
    finished = torch.zeros_like(end, dtype=torch.bool)
    for _ in range(_MOST_STEPS):
        log_sum = end - below
        multiplier = dual - below + _log1mexp(log_sum) - _log1mexp(end)
        log_w, slope = _coordinates(log_u, scale, multiplier, p)
        excess = torch.logsumexp(p * log_w, dim=-1, keepdim=True) / p
        derivative = (torch.softmax(p * log_w, dim=-1) * slope).sum(dim=-1, keepdim=True) / -torch.expm1(-log_sum)
        low, high = torch.where(excess < 0, below, low), torch.where(excess < 0, high, below)
        step = excess / derivative
        tolerance = 1e-15 * (1 + end)
        finished = finished | ~(step.abs() > tolerance) | (high - low <= tolerance)
        if finished.all():
            break
        newton = below - step
        safe = torch.where((newton > low) & (newton < high), newton, (low + high) / 2)
        below = torch.where(finished, below, safe)
    magnitudes = log_w.exp()
    return x.sign() * (magnitudes / lp_norm(magnitudes, p).unsqueeze(-1) * radius)


def _shortened(x: Float64[Tensor, "*rows d"], radius: Float64[Tensor, "..."]) -> Float64[Tensor, "*rows d"]:
    """The nearest point with |z|_1 = radius to every vector outside: sign(x) max(|x| - t, 0).

    All is counted from the largest entry, m, so that no digit is lost far outside: with the m - |x_j| in rising order,
    m - t is the smallest of (radius + their first j added up)/j.
    """
    below = x.abs().amax(dim=-1, keepdim=True) - x.abs()
    ranks = torch.arange(1, x.shape[-1] + 1, dtype=x.dtype, device=x.device)
    kept = ((below.sort(dim=-1).values.cumsum(-1) + radius) / ranks).amin(dim=-1, keepdim=True)
    shortened = (kept - below).clamp(min=0)
    return x.sign() * (shortened / shortened.sum(dim=-1, keepdim=True) * radius)


def _first_guess(log_u: Tensor, scale: Tensor, end: Tensor, p: float) -> Tensor:
    """Near the ball, Newton's step from lam = 0; far outside, the upper end of the bracket."""
    excess = torch.logsumexp(p * log_u, dim=-1, keepdim=True) / p - scale
    slope = (torch.softmax(p * log_u, dim=-1) * ((p - 2) * (log_u - scale)).exp()).sum(dim=-1, keepdim=True)
    near = (end - torch.log1p(excess / slope)).clamp(min=0)
    return torch.where(excess < math.log(2), near, 0.0)


def _coordinates(log_u: Tensor, scale: Tensor, multiplier: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """log w of exp(scale) w + exp(multiplier) w^(p-1) = exp(log_u), and -d log w / d multiplier.

    The unknown is the log ratio of the second term to the first. In it the equation is convex or concave
    with asymptotes of slope 1 and p - 1, and from there Newton's method is monotone: the fixed number of
    steps suffices for every entry, and none depends on its neighbours.
    """
    target = multiplier + (p - 2) * log_u - (p - 1) * scale
    ratio = torch.where(target < 0, target, target / (p - 1))
    for _ in range(5 + math.ceil(abs(math.log(p - 1)))):
        # (p - 1) softplus(ratio) - softplus(-ratio), the log ratio's value of the left-hand side.
        value = (p - 1) * ratio + (p - 2) * _softplus(-ratio)
        ratio = ratio - (value - target) / (1 + (p - 2) * torch.sigmoid(ratio))
    share = torch.sigmoid(ratio)
    from_second = (log_u - multiplier - _softplus(-ratio)) / (p - 1)
    from_first = log_u - scale - _softplus(ratio)
    return torch.where(ratio > 0, from_second, from_first), share / (1 + (p - 2) * share)


def _log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(-x))."""
    return torch.log(-torch.expm1(-x))

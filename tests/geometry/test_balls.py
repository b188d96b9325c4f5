from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor

from nc_bench.geometry.balls import (
    ball_residual,
    lp_norm,
    project_ball,
    project_sphere,
    radial_ball,
    radial_sphere,
    sphere_residual,
)

EXPONENTS = (1.05, 1.3, 2.0, 3.0, 20.0)
exponents = st.sampled_from(EXPONENTS)
ALL = (1.0, *EXPONENTS, math.inf)
all_exponents = st.sampled_from(ALL)
radii = st.sampled_from((1e-3, 1.0, 5.0, 1e4))


@st.composite
def vectors(draw: st.DrawFn) -> Tensor:
    """Float64 rows (n, d) with entries of very different size, some of them zero, at any overall scale."""
    rows, width = draw(st.integers(1, 6)), draw(st.sampled_from((1, 2, 3, 10, 100)))
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    spread = draw(st.sampled_from((0.0, 1.0, 6.0)))
    shape = (rows, width)
    sizes = torch.exp(spread * torch.randn(shape, dtype=torch.float64, generator=random))
    entries = sizes * torch.randn(shape, dtype=torch.float64, generator=random)
    entries[torch.rand(shape, generator=random) < 0.1] = 0.0
    return entries * 10.0 ** draw(st.sampled_from((-150, -3, 0, 1, 4, 150)))


def on_sphere(points: Tensor, radius: float, p: float) -> Tensor:
    return points / lp_norm(points, p).unsqueeze(-1) * radius


@settings(deadline=None)
@given(x=vectors(), p=exponents)
def test_norm_agrees_with_logarithms_at_any_scale(x: Tensor, p: float) -> None:
    logs = torch.logsumexp(p * x.abs().log(), dim=-1) / p
    torch.testing.assert_close(lp_norm(x, p), logs.exp(), rtol=2e-12, atol=0)


@pytest.mark.parametrize("p", EXPONENTS)
def test_float32_norms_do_not_overflow(p: float) -> None:
    x = torch.tensor([3e20, -4e20])
    assert lp_norm(x, p).item() == pytest.approx(1e20 * (3**p + 4**p) ** (1 / p), rel=1e-5)


@pytest.mark.parametrize("p", EXPONENTS)
def test_norm_gradient(p: float) -> None:
    x = torch.tensor([[0.0, 0.0, 0.0], [0.0, 3.0, 0.0], [1.0, -2.0, 0.5]], dtype=torch.float64, requires_grad=True)
    lp_norm(x, p).sum().backward()
    assert x.grad is not None
    assert x.grad[0].tolist() == [0.0, 0.0, 0.0]
    assert x.grad[1].tolist() == [0.0, 1.0, 0.0]
    row = x.detach()[2]
    expected = row.sign() * (row.abs() / lp_norm(row, p)) ** (p - 1)
    torch.testing.assert_close(x.grad[2], expected, rtol=1e-13, atol=0)


def test_the_norms_at_the_ends() -> None:
    x = torch.tensor([[3.0, -4.0, 0.0], [0.0, 0.0, 0.0], [1e300, 1e300, -1e300]], dtype=torch.float64)
    assert lp_norm(x, 1.0).tolist() == pytest.approx([7.0, 0.0, 3e300])
    assert lp_norm(x, math.inf).tolist() == [4.0, 0.0, 1e300]
    for p, row in ((1.0, [1.0, -1.0, 0.0]), (math.inf, [0.0, -1.0, 0.0])):
        leaf = x[:2].clone().requires_grad_()
        lp_norm(leaf, p).sum().backward()
        assert leaf.grad is not None
        assert leaf.grad.tolist() == [row, [0.0, 0.0, 0.0]]


def test_projections_onto_the_ends() -> None:
    x = torch.tensor([[3.0, -1.0, 0.5], [1e150, -1.0, 0.0], [0.25, 0.5, 0.0]], dtype=torch.float64)
    assert project_ball(x, 1.0, 1.0).tolist() == [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.25, 0.5, 0.0]]
    assert project_ball(x, 3.5, 1.0)[0].tolist() == pytest.approx(
        [2.6666666666666665, -0.6666666666666666, 0.16666666666666666], rel=1e-14
    )
    assert project_ball(x, 2.0, math.inf).tolist() == [[2.0, -1.0, 0.5], [2.0, -1.0, 0.0], [0.25, 0.5, 0.0]]


@pytest.mark.parametrize("p", ALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_radial_ball_shrinks_along_the_ray(p: float, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 50, 6, dtype=dtype, generator=random) * torch.logspace(-3, 3, 50, dtype=dtype)[:, None]
    shrunk = radial_ball(x, 49.0, p)
    inside = lp_norm(x, p) <= 49.0
    assert 0 < inside.sum() < inside.numel()
    assert torch.equal(shrunk[inside], x[inside])
    rounding = 8 * torch.finfo(dtype).eps
    torch.testing.assert_close(shrunk[~inside], on_sphere(x[~inside], 49.0, p), rtol=rounding, atol=0)
    assert shrunk.dtype == dtype


def test_radial_ball_is_the_identity_inside_for_every_radius() -> None:
    for radius in np.linspace(0.1, 60, 500):
        x = torch.tensor([[radius * 0.7, 0.0], [0.0, 0.0]], dtype=torch.float32)
        assert torch.equal(radial_ball(x, float(radius)), x)


@pytest.mark.parametrize("p", ALL)
def test_radial_ball_gradient(p: float) -> None:
    x = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    radial_ball(x, 2.0, p).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[1.0] * 4]
    outside = torch.tensor([[3.0, -1.0, 2.0], [0.1, 0.2, 0.3]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda y: radial_ball(y, 2.0, p), outside)


@settings(max_examples=100, deadline=None)
@given(x=vectors(), radius=radii, p=all_exponents)
def test_projection_is_feasible_idempotent_and_the_identity_inside(x: Tensor, radius: float, p: float) -> None:
    projected = project_ball(x, radius, p)
    inside = lp_norm(x, p) <= radius
    assert ball_residual(projected, radius, p) <= 4e-15
    assert torch.equal(project_ball(projected, radius, p), projected)
    assert torch.equal(projected[inside], x[inside])
    assert (projected * x >= 0).all() and (projected[x == 0] == 0).all()


@settings(max_examples=100, deadline=None)
@given(x=vectors(), radius=radii, p=all_exponents, seed=st.integers(0, 2**32 - 1), nonnegative=st.booleans())
def test_no_feasible_point_is_nearer(x: Tensor, radius: float, p: float, seed: int, nonnegative: bool) -> None:
    """The variational inequality <x - z, v - z> <= 0 for feasible v, which characterises the projection.

    With clamp(min=0) first, z must be the projection onto the non-negative part of the ball.
    """
    z = project_ball(x.clamp(min=0) if nonnegative else x, radius, p)
    random = torch.Generator().manual_seed(seed)
    tried = torch.randn(30, *x.shape, dtype=torch.float64, generator=random)
    # Points of the sphere anywhere, and close to z, where a wrong answer shows most clearly.
    tried = torch.cat([tried, z / radius + tried * 10.0 ** torch.linspace(-6, 0, 30)[:, None, None]])
    if nonnegative:
        tried = tried.clamp(min=0)
    v = on_sphere(tried, radius, p).nan_to_num()
    size = x.abs().amax(dim=-1, keepdim=True).clamp(min=radius)
    inner = ((x - z) / size * ((v - z) / radius)).sum(dim=-1)
    assert inner.max() <= 1e-13


@settings(max_examples=100, deadline=None)
@given(x=vectors(), radius=radii, p=exponents)
def test_optimality_conditions(x: Tensor, radius: float, p: float) -> None:
    """x - z is a positive multiple of the gradient of |z|_p^p."""
    z = project_ball(x, radius, p)
    outside = lp_norm(x, p) > radius * (1 + 1e-14)
    size = x.abs().amax(dim=-1, keepdim=True).clamp(min=radius)
    removed, w = (x - z) / size, z / radius
    normal = w.sign() * w.abs() ** (p - 1)
    multiplier = (removed * w).sum(dim=-1, keepdim=True)
    assert (multiplier[outside] > 0).all()
    # Where z underflows, its small power does not: those entries cannot satisfy the equation in float64.
    representable = (w.abs() > 1e-300) | (x == 0)
    defect = torch.where(representable, removed - multiplier * normal, 0.0)
    assert (defect[outside].abs() <= 1e-12).all()


@pytest.mark.parametrize("p", [1.3, 2.0, 3.0, 6.0])
def test_an_independent_minimiser_agrees(p: float) -> None:
    random = np.random.default_rng(0)
    for _ in range(5):
        x = random.normal(size=4) * 3
        solution = minimize(
            lambda z, x=x: ((z - x) ** 2).sum(),
            x / np.linalg.norm(x, p),
            jac=lambda z, x=x: 2 * (z - x),
            constraints={
                "type": "ineq",
                "fun": lambda z: 1.5**p - (np.abs(z) ** p).sum(),
                "jac": lambda z: -p * np.sign(z) * np.abs(z) ** (p - 1),
            },
            method="SLSQP",
            options={"ftol": 1e-15, "maxiter": 500},
        )
        assert np.abs(project_ball(torch.from_numpy(x), 1.5, p).numpy() - solution.x).max() < 1e-6


@pytest.mark.parametrize("p", ALL)
def test_vectors_barely_outside_hardly_move(p: float) -> None:
    random = torch.Generator().manual_seed(0)
    x = on_sphere(torch.randn(20, 8, dtype=torch.float64, generator=random), 1.0, p)
    for beyond in (1e-13, 1e-9, 1e-4):
        removed = project_ball(x * (1 + beyond), 1.0, p) - x * (1 + beyond)
        distance = torch.linalg.vector_norm(removed, dim=-1)
        assert (distance > 0).all() and (distance <= beyond * torch.linalg.vector_norm(x, dim=-1) * 1.01).all()


@pytest.mark.parametrize("p", ALL)
@pytest.mark.parametrize("magnitude", [1.0 + 1e-9, 7.0, 1e10, 1e300])
def test_one_dimension_is_clipping(p: float, magnitude: float) -> None:
    x = torch.tensor([[magnitude], [-magnitude], [0.5], [0.0]], dtype=torch.float64)
    expected = torch.tensor([[1.0], [-1.0], [0.5], [0.0]], dtype=torch.float64)
    torch.testing.assert_close(project_ball(x, 1.0, p), expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize("p", ALL)
def test_float32_is_the_rounded_float64_projection(p: float) -> None:
    x = torch.randn(40, 12, generator=torch.Generator().manual_seed(0)) * 4
    projected = project_ball(x, 5.0, p)
    assert projected.dtype == torch.float32
    torch.testing.assert_close(projected.double(), project_ball(x.double(), 5.0, p), rtol=6e-8, atol=1e-38)
    assert torch.equal(project_ball(projected, 5.0, p), projected)
    assert ball_residual(projected, 5.0, p) < 1e-7


@pytest.mark.parametrize("shrink", [radial_ball, project_ball])
@pytest.mark.parametrize("p", [1.3, 2.0, 3.0])
def test_every_trial_has_its_own_radius_and_no_neighbours(shrink: object, p: float) -> None:
    assert callable(shrink)
    x = torch.randn(3, 10, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
    own = torch.tensor([0.5, 2.0, 100.0])
    together = shrink(x, own[:, None], p)
    assert together.dtype == torch.float64
    for trial, radius in enumerate(own.tolist()):
        # exp and log round differently in vectors of other lengths: an ulp of log w, and |log w| reaches 10 here.
        torch.testing.assert_close(together[trial], shrink(x[trial], radius, p), rtol=1e-14, atol=0)
    residuals = ball_residual(x, own[:, None], p)
    expected = [max(0.0, (lp_norm(x[t], p).max() / own[t]).item() - 1) for t in range(3)]
    assert residuals.tolist() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("p", ALL)
def test_a_nan_stays_in_its_row(p: float) -> None:
    x = torch.tensor([[math.nan, 9.0], [3.0, 4.0]], dtype=torch.float64)
    for shrink in (radial_ball, project_ball):
        result = shrink(x, 1.0, p)
        assert result[0].isnan().any()
        assert torch.equal(result[1], shrink(x[1], 1.0, p))
    assert ball_residual(x, 1.0, p).isnan()


@pytest.mark.parametrize("function", [radial_ball, project_ball, ball_residual])
@pytest.mark.parametrize(
    ("radius", "p", "message"),
    [
        (0.0, 2.0, "radius must be a positive number, got 0.0"),
        (-1.0, 2.0, "radius must be a positive number"),
        (math.nan, 3.0, "radius must be a positive number"),
        (math.inf, 2.0, "radius must be a positive number"),
        (1.0, 0.99, "p must be at least 1, got 0.99"),
        (1.0, -math.inf, "p must be at least 1"),
        (1.0, math.nan, "p must be at least 1"),
    ],
)
def test_nonsense_is_refused(function: object, radius: float, p: float, message: str) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match=message):
        function(torch.ones(2, 3), radius, p)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_maps_to_the_sphere_keep_directions(dtype: torch.dtype) -> None:
    x = torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(0), dtype=dtype)
    radius = torch.tensor([[0.3], [7.0]], dtype=torch.float64)
    rounding = 8 * torch.finfo(dtype).eps
    for to_sphere in (radial_sphere, project_sphere):
        moved = to_sphere(x, radius)
        torch.testing.assert_close(
            moved, x / x.norm(dim=-1, keepdim=True) * radius[..., None].to(dtype), rtol=rounding, atol=0
        )
        assert bool((sphere_residual(moved, radius) <= rounding).all()) and moved.dtype == dtype
    assert torch.equal(project_sphere(moved, radius), moved)


@settings(deadline=None)
@given(x=vectors(), radius=radii)
def test_no_point_of_the_sphere_is_nearer_than_the_projection(x: Tensor, radius: float) -> None:
    projected = project_sphere(x, radius)
    rivals = on_sphere(
        torch.randn(50, *x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(1)), radius, 2.0
    )
    slack = 1e-12 * (lp_norm(x) + radius)
    moving = lp_norm(x) > 0
    assert bool((lp_norm(x - projected) <= lp_norm(x - rivals) + slack)[:, moving].all())


def test_zero_has_no_ray_to_the_sphere() -> None:
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64, requires_grad=True)
    moved = radial_sphere(x, 10.0)
    moved[:, 0].sum().backward()
    assert moved.tolist() == [[0.0, 0.0], [6.0, 8.0]] and bool(x.grad.isfinite().all())
    assert project_sphere(x, 10.0).tolist() == [[0.0, 0.0], [6.0, 8.0]]
    assert float(sphere_residual(x.detach(), 10.0)) == 1.0 and float(sphere_residual(x.detach()[1:], 4.0)) == 0.25
    assert torch.autograd.gradcheck(lambda y: radial_sphere(y, 2.0), x.detach()[1:].requires_grad_())
    assert bool(sphere_residual(torch.tensor([[math.nan, 1.0]]), 1.0).isnan())
    assert bool(project_sphere(torch.tensor([[math.nan, 1.0]]), 1.0).isnan().any())

"""The solver over free tensors: its sets are the whole sets and no more, and its minima are minima."""

from __future__ import annotations

import math

import pytest
import torch

from nc_bench.claims.free_tensors import in_ball, in_spectral_ball, lowest, unit_rows


def drawn(*shape: int) -> torch.Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("p", [1.5, 2.0, 4.0, math.inf])
def test_a_ball_is_filled_up_to_its_bound(p: float) -> None:
    free = drawn(200, 3)
    assert in_ball(free, 2.0, p).norm(p, dim=1).max() <= 2 * (1 + 1e-15)
    surface = free / free.norm(p, dim=1, keepdim=True)
    reached = in_ball(surface.sign() if p == math.inf else surface, 2.0, p).norm(p, dim=1)
    torch.testing.assert_close(reached, torch.full_like(reached, 2.0))
    # The inverse of t -> 2t/(1 + t^2): every point inside is an image.
    inside = 0.3 * surface
    size = inside.abs() if p == math.inf else inside.norm(p, dim=1, keepdim=True)
    torch.testing.assert_close(in_ball(inside / (1 + (1 - size**2).sqrt()), 1.0, p), inside)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_a_spectral_ball_is_filled_up_to_its_bound(shape: tuple[int, int]) -> None:
    free = drawn(*shape)
    left, singular, right = torch.linalg.svd(free, full_matrices=False)
    torch.testing.assert_close(in_spectral_ball(free, 0.7), (left * 1.4 * singular / (1 + singular**2)) @ right)
    torch.testing.assert_close(in_spectral_ball(left @ right, 0.7), 0.7 * left @ right)


def test_the_lowest_of_several_minima_is_kept_and_bounds_hold() -> None:
    def valleys(x: torch.Tensor) -> torch.Tensor:
        """Minima of 1 near -1 and of about 2 near 1."""
        return (1.5 + x / 2 + (x**2 - 1).square()).sum()

    left = lowest(valleys, [(1,)], starts=5)
    assert left.objective == pytest.approx(valleys(torch.tensor([-1.0575])).item(), abs=1e-5)
    assert left.tensors[0].item() == pytest.approx(-1.0575, abs=1e-3)
    assert lowest(valleys, [(1,)], nonnegative=(0,)).tensors[0].item() == pytest.approx(0.9304, abs=1e-3)


def test_every_tensor_is_moved_to_where_the_objective_is_smallest() -> None:
    found = lowest(lambda x, y: 1 + (unit_rows(x) @ y).square().sum() + (y - 1).square().sum(), [(2, 3), (3, 1)])
    assert found.objective == pytest.approx(1.0, abs=1e-12)
    torch.testing.assert_close(found.tensors[1], torch.ones(3, 1, dtype=torch.float64), atol=1e-6, rtol=0)

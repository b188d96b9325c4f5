from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nc_bench.geometry.spectral import clip_spectral

SHAPES = ((1, 1), (1, 5), (3, 5), (10, 64), (64, 10), (100, 120))


def with_singular_values(shape: tuple[int, int], singular: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A random matrix with these singular values, and the same one with them clipped at 1."""
    random = torch.Generator().manual_seed(seed)
    left, right = (
        torch.linalg.qr(torch.randn(side, len(singular), dtype=torch.float64, generator=random)).Q for side in shape
    )
    return left * singular @ right.T, left * singular.clamp(max=1) @ right.T


def clipped_by_svd(weight: Tensor, radius: float) -> Tensor:
    left, singular, right = torch.linalg.svd(weight, full_matrices=False)
    return left * singular.clamp(max=radius).unsqueeze(-2) @ right


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_are_clipped(shape: tuple[int, int]) -> None:
    singular = torch.linspace(0.1, 1.3, min(shape), dtype=torch.float64)
    weight, expected = with_singular_values(shape, singular)
    torch.testing.assert_close(clip_spectral(weight), expected, rtol=0, atol=3e-15)


@settings(max_examples=100, deadline=None)
@given(
    shape=st.sampled_from(SHAPES[:-1]),
    seed=st.integers(0, 2**32 - 1),
    radius=st.sampled_from((1e-2, 1.0, 30.0)),
    scale=st.sampled_from((1e-3, 0.1, 1.0, 5.0)),
)
def test_projection_agrees_with_the_svd(shape: tuple[int, int], seed: int, radius: float, scale: float) -> None:
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(shape, dtype=torch.float64, generator=random) * scale * radius
    clipped = clip_spectral(weight, radius)
    torch.testing.assert_close(clipped, clipped_by_svd(weight, radius), rtol=0, atol=1e-12 * radius)
    assert torch.linalg.matrix_norm(clipped, ord=2) <= radius * (1 + 1e-14)
    assert torch.equal(clip_spectral(clipped, radius), clipped)


@settings(max_examples=50, deadline=None)
@given(shape=st.sampled_from(SHAPES[:-1]), seed=st.integers(0, 2**32 - 1))
def test_no_feasible_matrix_is_nearer(shape: tuple[int, int], seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(shape, dtype=torch.float64, generator=random)
    clipped = clip_spectral(weight)
    tried = torch.randn(20, *shape, dtype=torch.float64, generator=random)
    tried = torch.cat([tried, clipped + tried * 10.0 ** torch.linspace(-6, 0, 20)[:, None, None]])
    tried = tried / torch.linalg.matrix_norm(tried, ord=2, keepdim=True)
    assert ((weight - clipped) * (tried - clipped)).sum(dim=(-2, -1)).max() <= 1e-12


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_admissible_matrix_is_left_bit_for_bit(shape: tuple[int, int], dtype: torch.dtype) -> None:
    weight, _ = with_singular_values(shape, torch.linspace(1e-9, 0.999, min(shape), dtype=torch.float64))
    weight = weight.to(dtype)
    assert torch.equal(clip_spectral(weight), weight)
    assert torch.equal(clip_spectral(weight * 0), weight * 0)


@pytest.mark.parametrize("shape", SHAPES[2:])
@pytest.mark.parametrize("largest", [3.0, 1e3, 1e8, 1e100])
def test_singular_values_far_apart_stay_feasible(shape: tuple[int, int], largest: float) -> None:
    singular = torch.logspace(math.log10(largest), -9, min(shape), dtype=torch.float64)
    weight, expected = with_singular_values(shape, singular)
    clipped = clip_spectral(weight)
    assert torch.linalg.matrix_norm(clipped, ord=2) <= 1 + 1e-14
    if largest <= 1e3:
        torch.testing.assert_close(clipped, expected, rtol=0, atol=2e-16 * max(largest, 10) ** 2)


def test_float32_is_feasible_and_idempotent() -> None:
    for seed in range(5):
        weight = torch.randn(30, 80, generator=torch.Generator().manual_seed(seed))
        clipped = clip_spectral(weight, 2.0)
        assert clipped.dtype == torch.float32
        assert torch.linalg.matrix_norm(clipped.double(), ord=2) <= 2 * (1 + 1e-6)
        torch.testing.assert_close(clipped.double(), clipped_by_svd(weight.double(), 2.0), rtol=0, atol=1e-7)
        assert torch.equal(clip_spectral(clipped, 2.0), clipped)


def test_equal_singular_values() -> None:
    weight, expected = with_singular_values((10, 64), torch.full((10,), 1.7, dtype=torch.float64))
    torch.testing.assert_close(clip_spectral(weight), expected, rtol=0, atol=3e-15)


def test_every_trial_has_its_own_radius_and_no_neighbours() -> None:
    weights = torch.randn(3, 4, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights[1, 0, 0] = math.nan
    clipped = clip_spectral(weights, torch.tensor([0.5, 1.0, 100.0]))
    torch.testing.assert_close(clipped[0], clip_spectral(weights[0], 0.5), rtol=1e-14, atol=1e-15)
    assert torch.equal(clipped[1].isnan(), weights[1].isnan())
    assert torch.equal(clipped[2], weights[2])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_diverged_matrix_is_returned_as_it_is(bad: float) -> None:
    weight = torch.ones(3, 5)
    weight[1, 2] = bad
    assert clip_spectral(weight)[1, 2].item() == pytest.approx(bad, nan_ok=True)


@pytest.mark.parametrize("radius", [0.0, -1.0, math.nan, math.inf])
def test_nonsense_is_refused(radius: float) -> None:
    with pytest.raises(ValueError, match="radius must be a positive number"):
        clip_spectral(torch.ones(2, 3), radius)

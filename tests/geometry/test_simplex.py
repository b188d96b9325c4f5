from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nc_bench.geometry.simplex import polygon_frame, simplex_vertices
from nc_bench.rng import Stream, generator


@settings(max_examples=40, deadline=None)
@given(
    classes=st.integers(2, 40),
    extra=st.integers(0, 20),
    radius=st.floats(1e-3, 1e3),
    seed=st.none() | st.integers(0, 2**32),
)
def test_gram_matrix_is_that_of_a_regular_simplex(classes: int, extra: int, radius: float, seed: int | None) -> None:
    rotation = None if seed is None else generator(seed, Stream.SYNTHETIC)
    vertices = simplex_vertices(classes, classes - 1 + extra, radius=radius, generator=rotation)
    assert vertices.shape == (classes, classes - 1 + extra) and vertices.dtype == torch.float64
    expected = torch.full((classes, classes), -1 / (classes - 1), dtype=torch.float64)
    expected.fill_diagonal_(1.0)
    torch.testing.assert_close(vertices @ vertices.T / radius**2, expected, rtol=0, atol=3e-15 * classes)
    assert (vertices.sum(dim=0).abs() / radius).max() < 1e-14 * classes


def test_two_classes_are_a_pair_of_opposite_points() -> None:
    assert simplex_vertices(2, 1, radius=3.0).abs().flatten().tolist() == pytest.approx([3.0, 3.0], rel=1e-15)


def test_rotations_are_drawn_from_the_generator_alone() -> None:
    first, again, other = (simplex_vertices(4, 6, generator=generator(seed, Stream.SYNTHETIC)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_a_random_frame_prefers_no_direction() -> None:
    vertices = torch.stack([simplex_vertices(3, 4, generator=generator(seed, Stream.SYNTHETIC)) for seed in range(800)])
    # Mean 0 and mean square 1/4 per coordinate; 800 frames leave about .018 and .008 of noise.
    assert vertices.mean(dim=0).abs().max() < 0.08
    assert (vertices.square().mean(dim=0) - 0.25).abs().max() < 0.04


@pytest.mark.parametrize(
    ("classes", "width", "radius", "message"),
    [
        (1, 3, 1.0, "at least 2 classes, got 1"),
        (5, 3, 1.0, "simplex of 5 classes needs a width of at least 4, got 3"),
        (3, 3, 0.0, "radius must be a positive number, got 0.0"),
        (3, 3, float("nan"), "radius must be a positive number"),
    ],
)
def test_what_does_not_exist_is_refused(classes: int, width: int, radius: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simplex_vertices(classes, width, radius=radius)


def turned_simplex(classes: int, width: int, *, radius: float = 1.0) -> Tensor:
    return simplex_vertices(classes, width, radius=radius, generator=torch.Generator().manual_seed(1))


def polygon(classes: int, radius: float) -> Tensor:
    angles = 2 * math.pi / classes * torch.arange(classes, dtype=torch.float64)
    return radius * math.sqrt(2 / (classes - 1)) * torch.stack([angles.cos(), angles.sin()], 1)


@pytest.mark.parametrize(("classes", "width"), [(3, 2), (4, 3), (10, 9), (10, 64)])
def test_a_simplex_is_seen_as_a_regular_polygon(classes: int, width: int) -> None:
    simplex = turned_simplex(classes, width)
    vertices, plane = polygon_frame(5 * simplex + 3)
    torch.testing.assert_close(vertices, simplex, rtol=0, atol=1e-12)
    torch.testing.assert_close(plane.T @ plane, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(vertices @ plane, polygon(classes, 1.0), rtol=0, atol=1e-12)


def test_the_frame_is_the_nearest_simplex() -> None:
    random = torch.Generator().manual_seed(0)
    means = turned_simplex(5, 8) + 0.1 * torch.randn(5, 8, generator=random, dtype=torch.float64)
    vertices, _ = polygon_frame(means)
    gram = vertices @ vertices.T
    torch.testing.assert_close(gram, 1.25 * torch.eye(5, dtype=torch.float64) - 0.25, rtol=0, atol=1e-12)
    distance = (means - means.mean(0) - vertices).norm()
    for _ in range(50):
        rotation = torch.linalg.matrix_exp(0.05 * _skew(torch.randn(8, 8, generator=random, dtype=torch.float64)))
        assert (means - means.mean(0) - vertices @ rotation).norm() > distance


def _skew(matrix: Tensor) -> Tensor:
    return matrix - matrix.T


def test_too_narrow_for_a_simplex_still_gives_a_picture() -> None:
    means = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    vertices, plane = polygon_frame(means)
    assert vertices.shape == (6, 3) and plane.shape == (3, 2)
    assert bool(vertices.isfinite().all() and plane.isfinite().all())

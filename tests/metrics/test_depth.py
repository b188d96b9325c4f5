"""Equi-separation, principal angles and stable ranks against NumPy and SciPy, and cases that are known exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.linalg import null_space, subspace_angles
from scipy.stats import pearsonr

from nc_bench.geometry.simplex import simplex_vertices
from nc_bench.metrics.depth import (
    equi_separation,
    kernel_share,
    mean_directions,
    principal_angles,
    random_angles,
    random_stable_rank,
    row_directions,
    stable_rank,
)


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("layers", [3, 4, 9])
def test_the_law_is_numpys_straight_line(layers: int) -> None:
    spreads = draw(layers, layers).exp().tolist()
    slope, correlation, reason = equi_separation(spreads)
    assert reason == ""
    assert slope == pytest.approx(np.polyfit(range(layers), np.log(spreads), 1)[0], rel=1e-12)
    assert correlation == pytest.approx(pearsonr(range(layers), np.log(spreads)).statistic, rel=1e-12)


@pytest.mark.parametrize("factor", [0.3, 1e-60, 2.0])
def test_a_spread_that_shrinks_by_one_factor_has_its_logarithm_as_slope(factor: float) -> None:
    slope, correlation, _ = equi_separation([5.0 * factor**layer for layer in range(5)])
    assert slope == pytest.approx(math.log(factor), rel=1e-12)
    assert correlation == pytest.approx(math.copysign(1, math.log(factor)), rel=1e-12)
    assert equi_separation([5.0 * 7 * factor**layer for layer in range(5)])[0] == pytest.approx(slope, rel=1e-12)


def test_without_three_usable_layers_there_is_no_law_and_a_reason() -> None:
    assert equi_separation([1.0, 0.5])[2] == "a law of depth needs 3 recorded layers, not 2"
    for bad in (0.0, math.nan, math.inf):
        slope, correlation, reason = equi_separation([1.0, bad, 0.5])
        assert math.isnan(slope) and math.isnan(correlation) and "undefined or 0" in reason
    slope, correlation, reason = equi_separation([0.5, 0.5, 0.5])
    assert slope == 0 and math.isnan(correlation) and "the same" in reason


@pytest.mark.parametrize(("classes", "rows", "width"), [(4, 4, 20), (6, 3, 12), (3, 40, 9), (10, 8, 10), (5, 2, 3)])
def test_angles_are_those_of_scipy(classes: int, rows: int, width: int) -> None:
    means, weight = draw(classes, classes, width), draw(rows, rows, width)
    centred = (means - means.mean(0)).numpy()
    angles = principal_angles(mean_directions(means), row_directions(weight)).numpy()
    reference = np.sort(subspace_angles(centred.T, weight.numpy().T))
    assert len(angles) == min(classes - 1, rows, width)
    # For more vectors than dimensions SciPy counts the surplus as zero angles of its own.
    assert angles == pytest.approx(reference[len(reference) - len(angles) :], abs=1e-10)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.3, math.pi / 4, math.pi / 2 - 1e-9, math.pi / 2])
def test_small_and_right_angles_are_exact(angle: float) -> None:
    means = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], dtype=torch.float64) + 7.0
    weight = torch.tensor([[math.cos(angle), math.sin(angle), 0.0]], dtype=torch.float64)
    (found,) = principal_angles(mean_directions(means), row_directions(weight)).tolist()
    assert found == pytest.approx(angle, abs=1e-14)


def test_means_and_their_dual_weight_meet_at_angle_zero() -> None:
    vertices = simplex_vertices(5, 16, generator=torch.Generator().manual_seed(0))
    directions = mean_directions(3 * vertices + 2)
    assert len(directions) == 4
    assert principal_angles(directions, row_directions(vertices)) == pytest.approx(torch.zeros(4).numpy(), abs=1e-14)
    assert len(mean_directions(vertices[:1])) == 0


@pytest.mark.parametrize("shape", [(5, 30), (30, 5), (1, 7), (6, 6)])
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_stable_ranks_are_numpys(shape: tuple[int, int], scale: float) -> None:
    matrix = draw(sum(shape), *shape)
    plain = matrix.numpy()
    expected = np.linalg.norm(plain) ** 2 / np.linalg.norm(plain, 2) ** 2
    assert stable_rank(matrix * scale) == pytest.approx(expected, rel=1e-12)


def test_stable_ranks_that_are_known() -> None:
    assert stable_rank(torch.eye(7, 9, dtype=torch.float64)) == pytest.approx(7, rel=1e-14)
    assert stable_rank(torch.ones(4, 3, dtype=torch.float64)) == pytest.approx(1, rel=1e-14)
    vertices = simplex_vertices(6, 8, generator=torch.Generator().manual_seed(1))
    assert stable_rank(vertices) == pytest.approx(5, rel=1e-12)
    for undefined in (torch.zeros(3, 3), torch.full((2, 2), math.inf), torch.zeros(0, 3)):
        assert math.isnan(stable_rank(undefined.double()))


@pytest.mark.parametrize(("directions", "rank", "width"), [(3, 4, 16), (9, 10, 64), (5, 2, 7)])
def test_the_null_is_what_random_subspaces_score(directions: int, rank: int, width: int) -> None:
    found = []
    for seed in range(400):
        first = row_directions(draw(seed, directions, width))
        angles = principal_angles(first, row_directions(draw(1000 + seed, rank, width)))
        found.append((float(angles.mean()), float(angles[-1])))
    assert random_angles(directions, rank, width) == pytest.approx(np.mean(found, 0), rel=0.04)
    assert random_angles(directions, width + 3, width) == (0.0, 0.0)
    assert all(math.isnan(value) for value in random_angles(0, rank, width))


def test_the_null_of_the_stable_rank_is_near_that_of_random_matrices() -> None:
    found = np.mean([stable_rank(draw(seed, 200, 60)) for seed in range(20)])
    assert random_stable_rank(200, 60) == pytest.approx(found, rel=0.06)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (3, 3), (2, 30)])
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_the_kernel_share_is_scipys(shape: tuple[int, int], scale: float) -> None:
    features, weight = draw(1, 50, shape[1]), draw(2, *shape)
    kernel = null_space((weight - weight.mean(0)).numpy())
    expected = np.linalg.norm(features.numpy() @ kernel) ** 2 / np.linalg.norm(features.numpy()) ** 2
    common = 7 * torch.ones(shape[0], 1, dtype=torch.float64)  # softmax does not see it
    assert kernel_share(features * scale, (weight + common) * scale) == pytest.approx(expected, rel=1e-10, abs=1e-20)


def test_kernel_shares_that_are_known() -> None:
    vertices = simplex_vertices(5, 16, generator=torch.Generator().manual_seed(0))
    assert kernel_share(vertices, vertices) < 1e-28
    outside = torch.linalg.svd(vertices).Vh[-1]
    assert kernel_share(vertices + 3 * outside, vertices) == pytest.approx(9 / 10, rel=1e-12)
    assert kernel_share(draw(0, 7, 3), draw(1, 5, 3)) == 0
    for features, weight in (
        (0 * vertices, vertices),
        (vertices, vertices[:1].expand(5, 16)),
        (vertices / 0, vertices),
    ):
        assert math.isnan(kernel_share(features, weight))

"""The share of class pairs whose convex hulls meet: exact cases, invariances, what it refuses."""

from __future__ import annotations

from inspect import unwrap

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nc_bench.metrics.hulls import hull_overlap

SQUARE = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)


def overlap(*clouds: torch.Tensor) -> float:
    labels = torch.repeat_interleave(torch.arange(len(clouds)), torch.tensor([len(cloud) for cloud in clouds]))
    return hull_overlap(torch.cat(clouds), labels)


@pytest.mark.parametrize("far", [0.0, 1e3, -1e6])
@pytest.mark.parametrize("unit", [1e-20, 1.0, 1e20])
@pytest.mark.parametrize(
    ("shift", "expected"), [((0.5, 0.5), 1.0), ((1.001, 0.0), 0.0), ((0.9, -0.9), 1.0), ((0.0, 1.1), 0.0)]
)
def test_two_squares(shift: tuple[float, float], expected: float, unit: float, far: float) -> None:
    other = SQUARE + SQUARE.new_tensor(shift)
    assert overlap(unit * (SQUARE + far), unit * (other + far)) == expected


def test_hulls_that_touch_meet() -> None:
    assert overlap(SQUARE, SQUARE + SQUARE.new_tensor([1.0, 0.0])) == 1.0
    assert overlap(SQUARE, SQUARE + 1.0) == 1.0


def test_an_exclusive_or_meets_though_no_point_lies_in_the_other_hull() -> None:
    assert hull_overlap(SQUARE, torch.tensor([0, 1, 1, 0])) == 1.0
    assert hull_overlap(SQUARE, torch.tensor([0, 0, 1, 1])) == 0.0


def test_the_hull_within_another_meets_it_and_pairs_are_counted() -> None:
    inside, outside = SQUARE / 4 + 0.3, SQUARE + 5
    assert overlap(inside, SQUARE) == 1.0
    assert overlap(inside, SQUARE, outside) == pytest.approx(1 / 3)


def test_collapsed_classes_do_not_meet_and_equal_ones_do() -> None:
    vertices = torch.eye(5).repeat_interleave(3, 0)
    assert hull_overlap(vertices, torch.arange(5).repeat_interleave(3)) == 0.0
    assert hull_overlap(torch.ones(4, 2), torch.tensor([0, 0, 7, 7])) == 1.0


def test_labels_may_leave_classes_out() -> None:
    assert hull_overlap(SQUARE.float(), torch.tensor([9, 9, 3, 3])) == 0.0


@settings(max_examples=25)
@given(seed=st.integers(0, 2**20), width=st.integers(1, 4))
def test_it_does_not_move_under_affine_maps_and_relabelling(seed: int, width: int) -> None:
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(12, width, generator=random, dtype=torch.float64)
    labels = torch.arange(12) % 3
    found = hull_overlap(features, labels)
    turn = torch.linalg.qr(torch.randn(width, width, generator=random, dtype=torch.float64)).Q
    assert hull_overlap(3 * features @ turn - 2, 5 - labels) == found


@settings(max_examples=25)
@given(seed=st.integers(0, 2**20))
def test_on_a_line_it_compares_intervals(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    first, second = (
        torch.randn(4, 1, generator=random, dtype=torch.float64) + offset for offset in (0.0, 2.0 * (seed % 2))
    )
    meet = bool(first.max() >= second.min() and second.max() >= first.min())
    assert overlap(first, second) == float(meet)


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (torch.ones(3, 2), torch.tensor([0, 1]), "do not fit"),
        (torch.ones(3, 2), torch.tensor([1, 1, 1]), "at least two classes with samples, got 1"),
        (torch.full((2, 2), torch.nan), torch.tensor([0, 1]), "finite"),
    ],
)
def test_what_it_refuses(features: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unwrap(hull_overlap)(features, labels)

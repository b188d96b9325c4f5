"""The Hessian of the cross entropy and the box of outputs, at values known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nc_bench.theory.convexity import least_curvature, log_curvature_product, loss_hessian, scatter_cost
from nc_bench.theory.output_sets import box_risk

LOGITS = st.lists(st.floats(-5, 5), min_size=2, max_size=8)


def test_two_classes_by_hand() -> None:
    """p = (1/4, 3/4)."""
    logits = [0.0, math.log(3.0)]
    np.testing.assert_allclose(loss_hessian(logits), np.array([[3.0, -3.0], [-3.0, 3.0]]) / 16, rtol=1e-15)
    assert log_curvature_product(logits) == pytest.approx(math.log(6 / 16), rel=1e-15)
    assert least_curvature(logits) == pytest.approx(0.25, rel=1e-15)


@given(logits=LOGITS, shift=st.floats(-800, 800))
def test_nothing_sees_what_is_added_to_all_logits(logits: list[float], shift: float) -> None:
    moved = np.array(logits) + shift
    np.testing.assert_allclose(loss_hessian(moved), loss_hessian(logits), atol=1e-12)
    assert log_curvature_product(moved) == pytest.approx(log_curvature_product(logits), abs=1e-9)


@given(logits=LOGITS)
def test_the_eigenvalues_are_what_is_said_of_them(logits: list[float]) -> None:
    values = np.linalg.eigvalsh(loss_hessian(logits))
    assert abs(values[0]) < 1e-15
    assert values[1] >= least_curvature(logits) * (1 - 1e-9) - 1e-16


def test_scatter_along_the_flat_direction_costs_nothing() -> None:
    means = np.arange(9.0).reshape(3, 3)
    assert scatter_cost(means, np.ones((3, 3, 3))) == pytest.approx(0.0, abs=1e-16)
    assert scatter_cost(np.zeros((2, 2)), [np.eye(2), np.zeros((2, 2))]) == pytest.approx(1 / 8, rel=1e-15)


def test_a_box_that_is_a_cube_is_the_ball_at_p_infinity() -> None:
    assert box_risk([-2.0] * 4, [2.0] * 4) == pytest.approx(math.log1p(3 * math.exp(-4.0)), rel=1e-15)
    assert box_risk([0.0, 0.0], [0.0, 5.0]) == pytest.approx((math.log(2) + math.log1p(math.exp(-5))) / 2, rel=1e-15)

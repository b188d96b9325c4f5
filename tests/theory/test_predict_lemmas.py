"""Heads that reach a simplex, particles, hulls of random classes, leaky neurons: values known by hand or by limits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nc_bench.theory import predict
from nc_bench.theory.hulls import separable_share
from nc_bench.theory.least_head import largest_centre, least_head_norm
from nc_bench.theory.mean_field import log_risk, time_scale, width_spread


def test_the_centre_is_zero_for_the_shortest_head_and_anywhere_for_long_ones() -> None:
    assert least_head_norm(3.0, 2.0) == 1.5
    assert largest_centre(3.0, 2.0, least_head_norm(3.0, 2.0)) == 0.0
    assert largest_centre(3.0, 2.0, 1e9) == pytest.approx(2.0, rel=1e-15)
    with pytest.raises(ValueError, match="no head of norm"):
        largest_centre(3.0, 2.0, 1.4)


@pytest.mark.parametrize("width", range(1, 6))
def test_a_hyperplane_separates_all_of_few_points_and_half_of_twice_as_many(width: int) -> None:
    assert separable_share(width + 1, width) == 1.0
    assert separable_share(2 * width + 2, width) == 0.5
    assert separable_share(4, 2) == 14 / 16  # all but the two exclusive-ors


@given(q=st.floats(1.01, 1e4))
def test_the_risk_solves_its_equation(q: float) -> None:
    if q - math.log(q) > 1:
        assert log_risk(q - math.log(q)) == pytest.approx(-q, rel=1e-5)


@pytest.mark.parametrize("log_time", [1.0, -3.0, math.inf, math.nan])
def test_no_risk_near_the_start(log_time: float) -> None:
    with pytest.raises(ValueError, match="log_time"):
        log_risk(log_time)


def test_width_is_a_number_of_neurons() -> None:
    assert (time_scale(40), width_spread(100)) == (40.0, 0.1)
    with pytest.raises(ValueError, match="width"):
        time_scale(0)


def test_leaky_neurons_go_from_the_ratio_of_relu_to_that_of_a_line() -> None:
    assert predict("two_layer_relu").values["ratio"] == 1.5
    assert predict("two_layer_relu").values["euclidean_margin"] == pytest.approx(math.sqrt(0.5), rel=1e-15)
    assert predict("two_layer_relu", slope=0.2).values["ratio"] == pytest.approx(22 / 13, rel=1e-15)
    line = predict("two_layer_relu", slope=1 - 1e-9).values
    assert (line["ratio"], line["euclidean_margin"]) == pytest.approx((2.0, 1.0), abs=1e-8)
    for slope in (1.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="slope"):
            predict("two_layer_relu", slope=slope)

"""Features and head in balls under unequal class weights: against SciPy minima and known numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theory_metrics import measure
from theory_minimisers import ball_minimum, ball_prediction

from nc_bench.theory import predict
from nc_bench.theory.unequal_ball import groups_of, signed_with_bias
from nc_bench.theory.unequal_frame import Programme, nonnegative

quick = settings(deadline=None, max_examples=60)

SKEWED = (100, 10, 1, 1)


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"bias": True}, 0.0714161290658),
        ({"nonnegative": True}, 0.270865133),
        ({"nonnegative": True, "bias": True}, 0.109898887),
    ],
)
def test_unequal_weights_have_the_known_risks(options: dict[str, Any], value: float) -> None:
    values = predict("penultimate_ball", classes=4, radius=2.0, class_weights=SKEWED, **options).values
    digits = len(str(value).split(".")[1])
    assert round(values["objective"], digits) == value
    assert 0 <= values["duality_gap"] <= 1e-12 * values["objective"]
    weighted = float(np.array(SKEWED) @ values["class_risks"]) / sum(SKEWED)
    assert weighted == pytest.approx(values["objective"], rel=1e-13)
    assert values["risk_balanced"] == pytest.approx(sum(values["class_risks"]) / 4, rel=1e-14)


def test_two_sizes_of_ten_classes_on_a_non_negative_frame() -> None:
    weights = [1000] * 5 + [10] * 5
    values = predict("penultimate_ball", classes=10, radius=5.0, nonnegative=True, class_weights=weights).values
    assert values["objective"] == pytest.approx(0.048656, abs=5e-7)
    assert predict("penultimate_ball", classes=10, radius=5.0, nonnegative=True).values["risk"] == pytest.approx(
        0.058874, abs=5e-7
    )


UNEQUAL: list[dict[str, Any]] = [
    {"classes": 3, "width": 2, "radius": 1.0, "bias": True, "class_weights": (3, 2, 1)},
    {"classes": 4, "width": 4, "radius": 2.0, "bias": True, "class_weights": SKEWED},
    {"classes": 4, "width": 5, "radius": 1.0, "head_norm": 1.5, "nonnegative": True, "class_weights": (2, 2, 1, 1)},
    {"classes": 3, "width": 4, "radius": 1.5, "nonnegative": True, "bias": True, "class_weights": (4, 2, 1)},
]


@pytest.mark.parametrize("problem", UNEQUAL, ids=str)
def test_unequal_weights_have_the_minimum_in_every_name(problem: dict[str, Any]) -> None:
    solution, values = ball_minimum(problem, starts=4), dict(ball_prediction(problem))
    measured = measure(solution)
    assert solution.objective == pytest.approx(values["objective"], abs=1e-11)
    for name in values.keys() - {"class_risks", "duality_gap"}:
        # A free head and bias move little weights' risks far.
        assert measured[name] == pytest.approx(values[name], abs=1e-4), name


@settings(deadline=None, max_examples=30)
@given(st.data(), st.integers(2, 12), st.floats(0.1, 20.0), st.booleans())
def test_the_programmes_are_solved_whatever_the_weights(
    data: st.DataObject, classes: int, radius: float, bias: bool
) -> None:
    weights = data.draw(st.lists(st.integers(1, 1000), min_size=classes, max_size=classes))
    frame = nonnegative(weights, radius, 1.0, bias=bias)
    assert frame.gap <= 1e-10 * frame.objective
    ball = signed_with_bias(weights, radius)
    assert ball.gap <= 1e-10 * ball.objective
    # A simplex without bias, and the equal frame, are there for both to choose.
    assert ball.objective <= predict("penultimate_ball", classes=classes, radius=radius).values["risk"] * (1 + 1e-12)
    assert frame.objective <= predict("penultimate_ball", classes=classes, radius=radius, nonnegative=True).values[
        "risk"
    ] * (1 + 1e-12)


@quick
@given(st.integers(2, 12), st.floats(0.1, 20.0), st.floats(0.5, 2.0))
def test_equal_weights_give_the_balanced_formula(classes: int, radius: float, head_norm: float) -> None:
    """The programmes themselves, and weights that differ by rounding only."""
    equal = [3.0] * classes
    problem = {"classes": classes, "radius": radius, "head_norm": head_norm}
    simplex = predict("penultimate_ball", **problem, bias=True).values["risk"]
    assert signed_with_bias(equal, radius * head_norm).objective == pytest.approx(simplex, rel=1e-11)
    frame = predict("penultimate_ball", **problem, nonnegative=True).values["risk"]
    for bias in (False, True):
        assert nonnegative(equal, radius, head_norm, bias=bias).objective == pytest.approx(frame, rel=1e-11)
        nearly = [3.0 * (1 + 1e-7 * k) for k in range(classes)]
        assert nonnegative(nearly, radius, head_norm, bias=bias).objective == pytest.approx(frame, rel=1e-5)


@pytest.mark.parametrize("bias", [False, True])
def test_a_gap_of_the_programme_bounds_what_is_lacking(bias: bool) -> None:
    """Away from the optimum the bound is above the true distance: moved biases, and an isometry that is turned."""
    weights, rng = (8, 4, 2, 1), np.random.default_rng(0)
    programme = Programme(groups=groups_of(weights), radius=1.5, head_norm=1.0, bias=bias)
    least = nonnegative(weights, 1.5, 1.0, bias=bias).objective
    block, offset = programme.solve()
    for size in (1e-3, 1e-2, 1e-1, 1.0):
        left, _, right = np.linalg.svd(block + size * rng.standard_normal(block.shape), full_matrices=False)
        moved = offset + bias * np.concatenate([[0.0], size * rng.standard_normal(3)])
        value, slope, bias_slope = programme.evaluate(left @ right, moved)
        reach = 3.0 + np.abs(moved).max() + math.log(8)
        bound = (slope * (left @ right)).sum() + np.linalg.norm(slope, "nuc") + bias * np.abs(bias_slope).sum() * reach
        assert 0 < value - least <= bound * (1 + 1e-12)

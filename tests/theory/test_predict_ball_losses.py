"""Features and head in balls under focal loss, squared error and label smoothing: against SciPy minima."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theory_metrics import measure
from theory_minimisers import ball_minimum, ball_prediction

from nc_bench.theory import predict

quick = settings(deadline=None, max_examples=60)

OTHER_LOSSES: list[dict[str, Any]] = [
    {"classes": 3, "width": 3, "radius": 1.5, "loss": "focal"},
    {"classes": 4, "width": 3, "radius": 2.0, "loss": "focal", "class_weights": (5, 2, 1, 1)},
    {"classes": 3, "width": 3, "radius": 0.6, "loss": "mse"},
    {"classes": 3, "width": 4, "radius": 0.9, "loss": "mse", "nonnegative": True, "class_weights": (3, 2, 1)},
    {"classes": 3, "width": 2, "radius": 0.5, "loss": "mse", "bias": True},
    {"classes": 3, "width": 2, "radius": 1.0, "label_smoothing": 0.1},
    {"classes": 4, "width": 3, "radius": 2.0, "label_smoothing": 0.3, "class_weights": (3, 1, 1, 1)},
    {"classes": 3, "width": 3, "radius": 1.5, "label_smoothing": 0.1, "bias": True},
]
INSIDE: list[dict[str, Any]] = [
    {"classes": 3, "width": 3, "radius": 4.0, "label_smoothing": 0.3},
    {"classes": 3, "width": 4, "radius": 1.5, "loss": "mse"},
    {"classes": 3, "width": 4, "radius": 1.2, "loss": "mse", "bias": True},
]


@pytest.mark.parametrize("problem", OTHER_LOSSES, ids=str)
def test_another_loss_has_its_minimum_in_every_name(problem: dict[str, Any]) -> None:
    solution, values = ball_minimum(problem), ball_prediction(problem)
    measured = measure(solution)
    assert solution.objective == pytest.approx(values["objective"], abs=1e-11)
    for name, value in values.items():
        assert measured[name] == pytest.approx(value, abs=2e-5), name


@pytest.mark.parametrize("problem", INSIDE, ids=str)
def test_where_the_bounds_are_not_reached_the_outputs_alone_are_determined(problem: dict[str, Any]) -> None:
    solution, values = ball_minimum(problem, starts=1), ball_prediction(problem)
    assert solution.objective == pytest.approx(values["objective"], abs=1e-11)
    assert set(values) == {"objective", "risk", "risk_balanced", "margin", "output_collapse"}
    measured = measure(solution)
    for name in ("risk", "risk_balanced", "margin"):
        assert measured[name] == pytest.approx(values[name], abs=2e-4), name


def test_known_numbers_of_other_losses() -> None:
    values = predict("penultimate_ball", classes=10, radius=3.0, loss="focal", focal_gamma=2.0).values
    assert values["objective"] == pytest.approx(0.0245645901, abs=5e-11)
    boundary = math.log(1 + 10 * 9) / math.sqrt(10 / 9)
    assert boundary == pytest.approx(4.279, abs=5e-4)
    for radius, reached in ((boundary * (1 - 1e-9), True), (boundary * (1 + 1e-9), False)):
        smoothed = predict("penultimate_ball", classes=10, radius=radius, label_smoothing=0.1).values
        assert ("nc1_pinv" in smoothed) == reached
        assert smoothed["margin"] == pytest.approx(math.log(91), rel=1e-8)


BALLS = st.fixed_dictionaries(
    {"classes": st.integers(2, 100), "radius": st.floats(1e-2, 50.0), "head_norm": st.floats(0.1, 10.0)}
)


@quick
@given(BALLS)
def test_limits_of_the_losses(ball: dict[str, Any]) -> None:
    plain = predict("penultimate_ball", **ball).values
    without = predict("penultimate_ball", **ball, loss="focal", focal_gamma=0.0).values
    assert without["objective"] == pytest.approx(plain["risk"], rel=1e-14)
    assert {**without, "objective": 0} == {**plain, "objective": 0}
    barely = predict("penultimate_ball", **ball, label_smoothing=1e-300).values
    assert barely["margin"] == pytest.approx(min(plain["margin"], math.log(ball["classes"]) + 300 * math.log(10)))
    assert barely["objective"] == pytest.approx(plain["risk"], rel=1e-9, abs=1e-290)
    for bias in (False, True):
        squared = predict("penultimate_ball", **ball, loss="mse", bias=bias).values
        assert 0 <= squared["objective"] <= 0.5
        assert squared["margin"] <= 1


@quick
@given(BALLS, st.floats(1e-3, 0.99))
def test_more_smoothing_costs_more_and_leads_less(ball: dict[str, Any], smoothing: float) -> None:
    less = predict("penultimate_ball", **ball, label_smoothing=smoothing).values
    more = predict("penultimate_ball", **ball, label_smoothing=min(1.01 * smoothing, 0.999)).values
    assert more["objective"] >= less["objective"] * (1 - 1e-14)
    assert more["margin"] <= less["margin"]


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        ({"loss": "focal", "focal_gamma": 2.0, "bias": True}, "free bias"),
        ({"loss": "focal", "focal_gamma": 2.0, "nonnegative": True}, "non-negative"),
        ({"loss": "mse", "bias": True, "class_weights": (100, 10, 1, 1)}, "unequal class weights"),
        ({"loss": "mse", "bias": True, "nonnegative": True}, "non-negative"),
        ({"loss": "mse", "width": 3}, "width 3"),
        ({"loss": "mse", "label_smoothing": 0.1}, "smoothing"),
        ({"label_smoothing": 0.1, "nonnegative": True}, "non-negative"),
        ({"label_smoothing": 0.1, "bias": True, "class_weights": (100, 10, 1, 1)}, "unequal class weights"),
        ({"label_smoothing": 0.1, "width": 2}, "width 2"),
    ],
)
def test_a_loss_says_where_nothing_is_known(problem: dict[str, Any], word: str) -> None:
    prediction = predict("penultimate_ball", classes=4, radius=1.0, **problem)
    assert not prediction.applies and not prediction.values
    assert word in prediction.reason

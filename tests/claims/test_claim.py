"""When a claim holds (bounds, deviations, numbers that are not finite), and claims about predicted values."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nc_bench import theory
from nc_bench.claims.claim import Claim, check, predicted_claim, predicted_value

NUMBER = st.floats(-1e6, 1e6)
BALL = {"classes": 10, "radius": 5.0}


def claim(predicted: float, obtained: float, **rest: Any) -> Claim:
    settings = {"tolerance": 0.1, "relative": False} | rest
    return Claim(
        name="name",
        statement="statement",
        source="source",
        predicted=lambda: predicted,
        obtained=lambda: obtained,
        **settings,
    )


@pytest.mark.parametrize(
    ("bound", "predicted", "obtained", "deviation"),
    [
        ("equal", 2.0, 2.5, 0.5),
        ("equal", 2.0, 1.5, 0.5),
        ("at_least", 2.0, 2.5, 0.0),
        ("at_least", 2.0, 1.5, 0.5),
        ("at_most", 2.0, 2.5, 0.5),
        ("at_most", 2.0, 1.5, 0.0),
    ],
)
def test_a_bound_counts_one_side_only(bound: Any, predicted: float, obtained: float, deviation: float) -> None:
    outcome = check(claim(predicted, obtained, bound=bound))
    assert (outcome.deviation, outcome.holds) == (deviation, deviation == 0)
    assert check(claim(predicted, obtained, bound=bound, relative=True)).deviation == deviation / 2
    assert (outcome.name, outcome.source, outcome.predicted, outcome.obtained) == ("name", "source", 2.0, obtained)


@given(predicted=NUMBER, obtained=NUMBER, tolerance=st.floats(0, 10))
def test_it_holds_up_to_its_tolerance(predicted: float, obtained: float, tolerance: float) -> None:
    outcome = check(claim(predicted, obtained, tolerance=tolerance))
    assert outcome.holds == (abs(obtained - predicted) <= tolerance)
    assert outcome.tolerance == tolerance


@pytest.mark.parametrize("bound", ["equal", "at_least", "at_most"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("relative", [True, False])
def test_what_is_no_finite_number_never_holds(bound: Any, number: float, relative: bool) -> None:
    for pair in ((1.0, number), (number, 1.0), (number, number), (0.0, number)):
        assert not check(claim(*pair, bound=bound, relative=relative, tolerance=1e300)).holds


def test_nothing_is_relative_to_zero() -> None:
    assert check(claim(0.0, 1e-300, relative=True, tolerance=1e300)).deviation == math.inf
    assert check(claim(0.0, 0.0, relative=True, tolerance=0.0)).holds
    assert check(claim(-2.0, -3.0, relative=True)).deviation == 0.5


def test_the_number_is_obtained_before_the_theory_is_asked() -> None:
    asked: list[str] = []

    def answer(who: str) -> float:
        asked.append(who)
        return 1.0

    both = Claim(
        name="",
        statement="",
        source="",
        predicted=lambda: answer("predicted"),
        obtained=lambda: answer("obtained"),
        tolerance=0.0,
    )
    assert asked == []
    assert check(both).holds
    assert asked == ["obtained", "predicted"]


def test_the_prediction_and_its_source_are_those_of_the_theory() -> None:
    prediction = theory.predict("penultimate_ball", **BALL)
    claim = predicted_claim(
        "name",
        "words",
        setting="penultimate_ball",
        value="risk",
        problem=BALL,
        obtained=lambda: 0.0452,
        tolerance=1e-3,
        bound="at_most",
    )
    assert claim.source == prediction.source
    outcome = check(claim)
    assert outcome.predicted == prediction.values["risk"] == predicted_value("penultimate_ball", "risk", BALL)
    assert outcome.holds and claim.relative and claim.bound == "at_most"


def test_of_a_value_with_a_number_for_every_class_one_is_claimed() -> None:
    ratios = theory.predict("seli", counts=(3, 1)).values["head_norm_ratio_k"]
    assert predicted_value("seli", "head_norm_ratio_k", {"counts": (3, 1)}, 1) == ratios[1]


@pytest.mark.parametrize(
    ("setting", "value", "problem", "reason"),
    [
        ("penultimate_ball", "risk", {**BALL, "width": 3}, "penultimate_ball predicts no risk: width 3 is too small"),
        ("penultimate_ball", "rsik", BALL, "penultimate_ball predicts no rsik: not one of its numbers"),
        ("seli", "head_norm_ratio_k", {"counts": (3, 1)}, "not one of its numbers"),
    ],
)
def test_a_claim_about_a_value_that_is_not_predicted_cannot_be_checked(
    setting: str, value: str, problem: dict[str, object], reason: str
) -> None:
    claim = predicted_claim(
        "name", "", setting=setting, value=value, problem=problem, obtained=lambda: 1.0, tolerance=1.0
    )
    with pytest.raises(ValueError, match=reason):
        check(claim)

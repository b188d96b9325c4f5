"""Claims about a value of a prediction: the theory answers when it is asked, or the claim cannot be checked."""

from __future__ import annotations

import pytest

from nc_bench import theory
from nc_bench.claims.asked import answer, asked
from nc_bench.claims.claim import check

BALL = {"classes": 10, "radius": 5.0}


def test_the_prediction_and_its_source_are_those_of_the_theory() -> None:
    prediction = theory.predict("penultimate_ball", **BALL)
    claim = asked(
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
    assert outcome.predicted == prediction.values["risk"] == answer("penultimate_ball", "risk", BALL)
    assert outcome.holds and claim.relative and claim.bound == "at_most"


@pytest.mark.parametrize(
    ("setting", "value", "problem", "reason"),
    [
        ("penultimate_ball", "risk", {**BALL, "width": 5}, "penultimate_ball predicts no risk: width 5 is too small"),
        ("penultimate_ball", "rsik", BALL, "penultimate_ball predicts no rsik: not one of its numbers"),
        ("seli", "head_norm_ratio_k", {"counts": (3, 1)}, "not one of its numbers"),
    ],
)
def test_there_is_no_answer_where_the_theory_has_none(
    setting: str, value: str, problem: dict[str, object], reason: str
) -> None:
    claim = asked("name", "", setting=setting, value=value, problem=problem, obtained=lambda: 1.0, tolerance=1.0)
    with pytest.raises(ValueError, match=reason):
        check(claim)

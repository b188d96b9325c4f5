"""Non-negative features, as a ReLU makes them: in a ball, and under weight decay with unequal class sizes."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from nc_bench.claims.asked import asked
from nc_bench.claims.claim import Claim
from nc_bench.claims.problems import chosen_classes, unconstrained
from nc_bench.claims.shapes import EXACT, LENGTHS, class_means, cosines, worst
from nc_bench.claims.solve import Solution, descend, minimise

SEEDS = (0, 1, 2)
BALL: dict[str, Any] = {"classes": 4, "radius": 3.0, "nonnegative": True}
DECAYED: dict[str, Any] = {"counts": (12, 6, 3, 1), "head_decay": 0.05, "feature_decay": 0.05}


def claims() -> list[Claim]:
    """Orthogonal instead of a simplex around zero; unequal classes keep to themselves."""
    return [*_in_a_ball(), *_under_decay()]


def _in_a_ball() -> list[Claim]:
    about = partial(asked, setting="penultimate_ball", problem=BALL)
    risks = [
        asked(
            f"nonnegative_risk_{'bias' if bias else 'no_bias'}",
            "least risk of non-negative features, |h| <= 3, |W| <= 1; worst of 3 starts",
            setting="penultimate_ball",
            value="risk",
            problem={**BALL, "bias": bias},
            obtained=partial(worst, partial(_ball, bias)),
            tolerance=EXACT,
        )
        for bias in (False, True)
    ]
    return [
        *risks,
        about(
            "nonnegative_cosine",
            "non-negative class means are orthogonal: their largest cosine",
            value="cosine",
            obtained=lambda: max(cosines(class_means(solution)).max().item() for solution in _ball(False)),
            tolerance=LENGTHS,
            relative=False,
        ),
        about(
            "nonnegative_centre_offset",
            "their centre is off the origin: the largest centre_offset",
            value="centre_offset",
            obtained=lambda: max(solution.metrics["centre_offset"] for solution in _ball(False)),
            tolerance=LENGTHS,
        ),
    ]


def _under_decay() -> list[Claim]:
    about = partial(asked, setting="relu_imbalanced", problem=DECAYED)
    return [
        about(
            "nonnegative_decay_objective",
            "least objective for class sizes 12:6:3:1, the smallest of them dead; best of 4 starts",
            value="objective",
            obtained=lambda: _decayed().objective,
            tolerance=EXACT,
        ),
        about(
            "nonnegative_decay_risk_balanced",
            "its mean risk over classes",
            value="risk_balanced",
            obtained=lambda: _decayed().metrics["risk_balanced"],
            tolerance=LENGTHS,
        ),
        about(
            "nonnegative_decay_live_classes",
            "classes whose features are not zero",
            value="live_classes",
            obtained=lambda: float((class_means(_decayed()).norm(dim=1) > 1e-3).sum()),
            tolerance=0.0,
        ),
    ]


@cache
def _ball(bias: bool) -> list[Solution]:
    trials = [
        unconstrained(
            8,
            seed=seed,
            nonnegative=True,
            bias=bias,
            constraints={"features": {"radius": BALL["radius"]}, "head": {"radius": 1.0}},
            learning_rate=0.3,
            feature_rate=12,
        )
        for seed in SEEDS
    ]
    return descend(trials, chosen_classes([3] * BALL["classes"]), steps=500)


@cache
def _decayed() -> Solution:
    """Random starts are away from zero features, and the width leaves room: both keep out of worse local minima."""
    objective = {"weight_decay": DECAYED["head_decay"], "feature_decay": DECAYED["feature_decay"]}
    config = unconstrained(11, nonnegative=True, objective=objective)
    return minimise(config, chosen_classes(DECAYED["counts"]), starts=4)

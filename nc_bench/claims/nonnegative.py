"""Non-negative features, as a ReLU makes them: in a ball, and under weight decay with unequal class sizes."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Claim, predicted_claim
from nc_bench.claims.problems import chosen_classes, unconstrained
from nc_bench.claims.solve import Solution, class_means, cosines, descend, largest_objective, minimise
from nc_bench.config import Config

SEEDS = (0, 1, 2)
BALL: dict[str, Any] = {"classes": 4, "radius": 3.0, "nonnegative": True}
WEIGHTS = (100.0, 10.0, 1.0, 1.0)
WEIGHTED_RADIUS = 2.0
WEIGHTED_RISKS = {False: 0.27086513, True: 0.10989889}
"""Least risks for these class weights and this radius, without and with a bias: no closed form is known."""

DECAYED: dict[str, Any] = {"counts": (12, 6, 3, 1), "head_decay": 0.05, "feature_decay": 0.05}


def claims() -> list[Claim]:
    """Orthogonal class means instead of a simplex around zero; classes of unequal size under decay."""
    return [*_in_a_ball(), *_weighted(), *_under_decay()]


def _in_a_ball() -> list[Claim]:
    about = partial(predicted_claim, setting="penultimate_ball", problem=BALL)
    risks = [
        predicted_claim(
            f"nonnegative_risk_{'bias' if bias else 'no_bias'}",
            "least risk of non-negative features, |h| <= 3, |W| <= 1; worst of 3 starts",
            setting="penultimate_ball",
            value="risk",
            problem={**BALL, "bias": bias},
            obtained=partial(largest_objective, partial(_ball, bias)),
            tolerance=OBJECTIVE_TOLERANCE,
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
            tolerance=GEOMETRY_TOLERANCE,
            relative=False,
        ),
        about(
            "nonnegative_centre_offset",
            "their centre is off the origin: the largest centre_offset",
            value="centre_offset",
            obtained=lambda: max(solution.metrics["centre_offset"] for solution in _ball(False)),
            tolerance=GEOMETRY_TOLERANCE,
        ),
    ]


def _weighted() -> list[Claim]:
    """The theorem is for equal weights; for others the least risk depends on the weights and on the bias."""
    risks = [
        Claim(
            name=f"nonnegative_weighted_risk_{'bias' if bias else 'no_bias'}",
            statement="outside the theorem: least risk for class weights 100:10:1:1, |h| <= 2, |W| <= 1, "
            "not the 0.3408 of equal ones; best of 3 starts",
            source="no closed form; minimised by sequential quadratic programming",
            predicted=partial(WEIGHTED_RISKS.__getitem__, bias),
            obtained=partial(_best_weighted, bias),
            tolerance=1e-7,
        )
        for bias in WEIGHTED_RISKS
    ]
    return [
        *risks,
        Claim(
            name="nonnegative_weighted_cosine",
            statement="the class means stay orthogonal all the same: their largest cosine",
            source="minimised numerically; proved for equal weights only",
            predicted=lambda: 0.0,
            obtained=lambda: max(
                cosines(class_means(solution)).max().item() for bias in WEIGHTED_RISKS for solution in _unequal(bias)
            ),
            tolerance=GEOMETRY_TOLERANCE,
            relative=False,
        ),
    ]


def _best_weighted(bias: bool) -> float:
    return min(solution.objective for solution in _unequal(bias))


def _under_decay() -> list[Claim]:
    about = partial(predicted_claim, setting="relu_imbalanced", problem=DECAYED)
    return [
        about(
            "nonnegative_decay_objective",
            "least objective for class sizes 12:6:3:1, the smallest of them dead; best of 4 starts",
            value="objective",
            obtained=lambda: _decayed().objective,
            tolerance=OBJECTIVE_TOLERANCE,
        ),
        about(
            "nonnegative_decay_risk_balanced",
            "risk_balanced of that minimiser",
            value="risk_balanced",
            obtained=lambda: _decayed().metrics["risk_balanced"],
            tolerance=GEOMETRY_TOLERANCE,
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
    trials = [_bounded(8, BALL["radius"], seed=seed, bias=bias, feature_rate=12) for seed in SEEDS]
    return descend(trials, chosen_classes([3] * BALL["classes"]), steps=500)


@cache
def _unequal(bias: bool) -> list[Solution]:
    """There are worse local minima, with classes at zero; the width leaves room to avoid them."""
    objective = {"class_weights": WEIGHTS}
    trials = [
        _bounded(11, WEIGHTED_RADIUS, seed=seed, bias=bias, objective=objective, feature_rate=4) for seed in SEEDS
    ]
    return descend(trials, chosen_classes([1] * len(WEIGHTS)), steps=1000)


def _bounded(width: int, radius: float, **rest: Any) -> Config:
    constraints = {"features": {"radius": radius}, "head": {"radius": 1.0}}
    return unconstrained(width, nonnegative=True, constraints=constraints, learning_rate=0.3, **rest)


@cache
def _decayed() -> Solution:
    """Random starts are away from zero features, and the width leaves room: both keep out of worse local minima."""
    objective = {"weight_decay": DECAYED["head_decay"], "feature_decay": DECAYED["feature_decay"]}
    config = unconstrained(11, nonnegative=True, objective=objective)
    return minimise(config, chosen_classes(DECAYED["counts"]), starts=4)

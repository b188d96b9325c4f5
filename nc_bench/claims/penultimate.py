"""Features in a ball, |W| bounded (section 4 of the paper): any class sizes and weights, radii and widths."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from torch import pdist

from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Claim, predicted_claim
from nc_bench.claims.problems import chosen_classes, unconstrained
from nc_bench.claims.solve import Solution, class_means, cosines, descend, largest_objective
from nc_bench.config import Config

LARGE = 1e-4
"""Of a risk of 1e-9: cross entropy keeps no more digits of it."""

SEEDS = (0, 1, 2)
WEIGHTS = ((1.0, 1.0, 1.0, 1.0), (100.0, 10.0, 1.0, 1.0), (1.0, 1.0, 50.0, 50.0))
SIZES = (100, 10, 3, 1)
WITH_BIAS = 0.07142
"""Least risk for the second of WEIGHTS, radius 2, with a free bias."""

FOUR: dict[str, Any] = {"classes": 4, "radius": 3.0}
FLOOR: dict[str, Any] = {"classes": 4, "feature_radius": 3.0, "head_opnorm": 1.0}


def claims() -> list[Claim]:
    """The least risk, the simplex that reaches it, and the floor on the way."""
    return [*_risks(), *_simplex(), *_floor()]


def _risks() -> list[Claim]:
    about = partial(predicted_claim, setting="penultimate_ball", value="risk", tolerance=OBJECTIVE_TOLERANCE)
    return [
        about(
            "penultimate_risk_balanced",
            "least risk of 10 classes of 2 samples, |h| <= 5, |W| <= 1, free bias; worst of 3 starts",
            problem={"classes": 10, "radius": 5.0, "bias": True},
            obtained=lambda: largest_objective(_balanced),
        ),
        about(
            "penultimate_risk_class_sizes",
            "class sizes 100:10:3:1 do not change the least risk, |h| <= 3, |W| <= 1; worst of 3 starts",
            problem=FOUR,
            obtained=lambda: largest_objective(_sizes),
        ),
        about(
            "penultimate_risk_class_weights",
            "class weights up to 100:1, one sample a class, do not change it either; worst of 3 weightings",
            problem=FOUR,
            obtained=lambda: largest_objective(_weighted),
        ),
        about(
            "penultimate_risk_large_radius",
            "least risk at radius 20, 10 classes in their least width 9; worst of 3 starts",
            problem={"classes": 10, "radius": 20.0},
            obtained=lambda: largest_objective(_large),
            tolerance=LARGE,
        ),
        Claim(
            name="penultimate_bias_with_unequal_weights",
            statement="outside the theorem: with weights 100:10:1:1 and a free bias the least risk, |h| <= 2, is "
            "not its 0.2608; worst of 3 starts",
            source="no closed form; minimised by sequential quadratic programming",
            predicted=lambda: WITH_BIAS,
            obtained=lambda: largest_objective(_biased),
            tolerance=1e-4,
        ),
    ]


def _simplex() -> list[Claim]:
    about = partial(predicted_claim, setting="penultimate_ball", problem=FOUR, tolerance=GEOMETRY_TOLERANCE)
    return [
        about(
            "penultimate_cosine",
            "largest cosine between class means for class sizes 100:10:3:1",
            value="cosine",
            obtained=lambda: max(cosines(class_means(solution)).max().item() for solution in _sizes()),
        ),
        about(
            "penultimate_distance",
            "smallest distance between class means for class weights up to 100:1",
            value="pair_distance",
            obtained=lambda: min(pdist(class_means(solution)).min().item() for solution in _weighted()),
        ),
        about(
            "penultimate_collapse",
            "all samples of a class have one feature: largest nc1_radius for class sizes 100:10:3:1",
            value="nc1_radius",
            obtained=lambda: max(solution.metrics["nc1_radius"] for solution in _sizes()),
            relative=False,
        ),
        about(
            "penultimate_isometry",
            "W is an isometry on the span of the class means: largest defect under all sizes and weights",
            value="isometry_defect",
            obtained=lambda: max(solution.metrics["isometry_defect"] for solution in (*_sizes(), *_weighted())),
            relative=False,
        ),
    ]


def _floor() -> list[Claim]:
    about = partial(predicted_claim, setting="risk_floor")
    return [
        about(
            "risk_floor_every_iterate",
            "no iterate of descent from random starts is below the floor, under all class sizes and weights",
            value="risk_floor",
            problem=FLOOR,
            obtained=lambda: min(solution.lowest for solution in (*_sizes(), *_weighted())),
            tolerance=1e-13,
            bound="at_least",
        ),
        about(
            "simplex_efficiency_narrow",
            "4 classes in width 2: the largest simplex_efficiency stays below its cap",
            value="simplex_efficiency_cap",
            problem={**FLOOR, "width": 2},
            obtained=lambda: max(solution.metrics["simplex_efficiency"] for solution in _narrow()),
            tolerance=1e-12,
            bound="at_most",
        ),
    ]


@cache
def _balanced() -> list[Solution]:
    trials = [_bounded(12, 5.0, seed=seed, bias=True, feature_rate=20) for seed in SEEDS]
    return descend(trials, chosen_classes([2] * 10), steps=600)


@cache
def _sizes() -> list[Solution]:
    trials = [_bounded(6, 3.0, seed=seed, feature_rate=sum(SIZES)) for seed in SEEDS]
    return descend(trials, chosen_classes(SIZES), steps=500)


@cache
def _weighted() -> list[Solution]:
    trials = [
        _bounded(6, 3.0, seed=seed, objective={"class_weights": weights}, feature_rate=12)
        for seed, weights in enumerate(WEIGHTS)
    ]
    return descend(trials, chosen_classes([1] * 4), steps=1500)


@cache
def _large() -> list[Solution]:
    trials = [_bounded(9, 20.0, seed=seed, learning_rate=0.03, feature_rate=100) for seed in SEEDS]
    return descend(trials, chosen_classes([1] * 10), steps=500)


@cache
def _biased() -> list[Solution]:
    objective = {"class_weights": WEIGHTS[1]}
    trials = [_bounded(6, 2.0, seed=seed, bias=True, objective=objective, feature_rate=4) for seed in SEEDS]
    return descend(trials, chosen_classes([1] * 4), steps=1000)


@cache
def _narrow() -> list[Solution]:
    return descend([_bounded(2, 3.0, seed=seed, feature_rate=4) for seed in SEEDS], chosen_classes([1] * 4), steps=300)


def _bounded(width: int, radius: float, *, learning_rate: float = 0.3, **rest: Any) -> Config:
    constraints = {"features": {"radius": radius}, "head": {"radius": 1.0}}
    return unconstrained(width, constraints=constraints, learning_rate=learning_rate, **rest)

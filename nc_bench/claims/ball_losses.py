"""Other losses in the ball: focal at any weights, smoothing on both sides of its threshold, squared error."""

from __future__ import annotations

from functools import partial
from typing import Any

from nc_bench.claims.bounded import Bounded, solved
from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Claim, predicted_claim
from nc_bench.claims.solve import cosines, smallest_lead

WEIGHTED: dict[str, Any] = {"classes": 4, "radius": 2.0, "focal_gamma": 2.0, "class_weights": (100.0, 10.0, 1.0, 1.0)}
TEN: dict[str, Any] = {"classes": 10, "radius": 3.0, "focal_gamma": 0.5}

SMOOTHING = 0.1
RADII = {"below": 4.2, "above": 4.4}
"""Of ten classes: the bounds are reached up to the radius 4.279."""

SQUARED = {"no_bias": 0.9, "bias": 0.8}


def claims() -> list[Claim]:
    """Least objectives, leads of true classes and cosines."""
    return [*_focal(), *_smoothed(), *_squared_error()]


def _focal() -> list[Claim]:
    return [
        predicted_claim(
            f"ball_focal_{name}_{value}",
            f"{words} of the focal loss in the ball, |W| <= 1: {said}; best of 3 starts",
            setting="penultimate_ball",
            value=value,
            problem={**problem, "loss": "focal"},
            obtained=partial(obtained, Bounded(width=problem["classes"], **problem)),
            tolerance=tolerance,
        )
        for name, said, problem in (
            ("weights", "class weights 100:10:1:1, gamma 2, |h| <= 2", WEIGHTED),
            ("ten_classes", "10 classes, gamma .5, |h| <= 3", TEN),
        )
        for value, words, obtained, tolerance in (
            ("objective", "least value", _objective, OBJECTIVE_TOLERANCE),
            ("risk", "balanced cross entropy at the minimum", _risk, GEOMETRY_TOLERANCE),
        )
    ]


def _smoothed() -> list[Claim]:
    found = []
    for side, radius in RADII.items():
        problem = {"classes": 10, "radius": radius, "label_smoothing": SMOOTHING}
        bounded = Bounded(width=9, **problem)  # type: ignore[arg-type]
        for value, words, obtained, tolerance in (
            ("objective", "least smoothed cross entropy", _objective, OBJECTIVE_TOLERANCE),
            ("margin", "smallest lead of a true class", _lead, GEOMETRY_TOLERANCE),
        ):
            found.append(
                predicted_claim(
                    f"ball_smoothed_{value}_{side}",
                    f"{words}, smoothing .1, 10 classes, |h| <= {radius:g}: {side} the radius up to which the bound is "
                    "reached",
                    setting="penultimate_ball",
                    value=value,
                    problem=problem,
                    obtained=partial(obtained, bounded),
                    tolerance=tolerance,
                )
            )
    return found


def _squared_error() -> list[Claim]:
    found = []
    for name, radius in SQUARED.items():
        bias = name == "bias"
        bounded = Bounded(classes=5, width=5, radius=radius, mse=True, bias=bias)
        for value, words, obtained, tolerance in (
            ("objective", "least squared error", _objective, OBJECTIVE_TOLERANCE),
            ("cosine", "largest cosine between features at least squared error", _cosine, GEOMETRY_TOLERANCE),
        ):
            found.append(
                predicted_claim(
                    f"ball_squared_error_{value}_{name}",
                    f"{words}, {name.replace('_', ' ')}, 5 classes, |h| <= {radius:g}, |W| <= 1; best of 3 starts",
                    setting="penultimate_ball",
                    value=value,
                    problem={"classes": 5, "radius": radius, "loss": "mse", "bias": bias},
                    obtained=partial(obtained, bounded),
                    tolerance=tolerance,
                    relative=value == "objective",
                )
            )
    return found


def _objective(problem: Bounded) -> float:
    return solved(problem).objective


def _risk(problem: Bounded) -> float:
    return solved(problem).metrics["risk_balanced"]


def _lead(problem: Bounded) -> float:
    found = solved(problem)
    return smallest_lead(found.outputs, found.labels)


def _cosine(problem: Bounded) -> float:
    return cosines(solved(problem).features).max().item()

"""Other sets than Euclidean balls: features in l^p balls, and one of head and features bounded in the mean."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from nc_bench.claims.bounded import Bounded, solved
from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Claim, predicted_claim
from nc_bench.claims.solve import cosines

TIGHT = {"four_classes": (4, 3), "eight_classes": (8, 7), "two_classes": (2, 3)}
"""Classes and width where sign vectors form a simplex, as in Hadamard matrices."""

LOOSE = {"square": (3, 2, math.inf), "cube": (5, 4, math.inf), "l4": (3, 4, 4.0)}
"""Classes, width and p where they do not."""

RADIUS, P = 1.5, 4.0
LOOSE_BY = 1.05
"""The least risk is above the bound by at least this factor: 1.11 to 1.43 was found."""

HEAD: dict[str, Any] = {"classes": 4, "radius": 1.2, "head_energy": 1.3}
FEATURES: dict[str, Any] = {"classes": 5, "feature_energy": 2.0, "head_norm": 0.8}


def claims() -> list[Claim]:
    """The bound in l^p balls, reached and missed; mixed bounds both ways."""
    return [*map(_tight, TIGHT), _signs(), *map(_loose, LOOSE), *_mixed()]


def _tight(name: str) -> Claim:
    classes, width = TIGHT[name]
    return predicted_claim(
        f"feature_lp_ball_{name}",
        f"least risk of {classes} classes, |h|_4 <= 1.5 in {width} dimensions, |W| <= 1: the bound is reached; "
        "best of 3 starts",
        setting="feature_lp_ball",
        value="risk_floor",
        problem={"classes": classes, "radius": RADIUS, "p": P, "width": width},
        obtained=lambda: solved(Bounded(classes=classes, width=width, radius=RADIUS, p=P)).objective,
        tolerance=OBJECTIVE_TOLERANCE,
    )


def _signs() -> Claim:
    classes, width = TIGHT["eight_classes"]
    return predicted_claim(
        "feature_lp_ball_reach",
        "Euclidean norm of features there, 8 classes in 7 dimensions: all entries are equal in size; the smallest",
        setting="feature_lp_ball",
        value="reach",
        problem={"classes": classes, "radius": RADIUS, "p": P, "width": width},
        obtained=lambda: (
            solved(Bounded(classes=classes, width=width, radius=RADIUS, p=P)).features.norm(dim=1).min().item()
        ),
        tolerance=GEOMETRY_TOLERANCE,
    )


def _loose(name: str) -> Claim:
    classes, width, p = LOOSE[name]
    return predicted_claim(
        f"feature_lp_ball_missed_{name}",
        f"where no sign vectors form a simplex the bound is missed: least risk over {LOOSE_BY:g}, {classes} classes, "
        f"|h|_{p:g} <= 1.5 in {width} dimensions; best of 3 starts",
        setting="feature_lp_ball",
        value="risk_floor",
        problem={"classes": classes, "radius": RADIUS, "p": p, "width": width},
        obtained=lambda: solved(Bounded(classes=classes, width=width, radius=RADIUS, p=p)).objective / LOOSE_BY,
        tolerance=0.0,
        bound="at_least",
    )


def _mixed() -> list[Claim]:
    head = Bounded(classes=4, width=5, radius=HEAD["radius"], head_norm=HEAD["head_energy"] ** 0.5, head_in_mean=True)
    features = Bounded(
        classes=5,
        width=4,
        radius=FEATURES["feature_energy"] ** 0.5,
        head_norm=FEATURES["head_norm"],
        features_in_mean=True,
        bias=True,
    )
    about = partial(predicted_claim, setting="mixed_bounds")
    claims = []
    for name, words, problem, bounded in (
        ("head", "|h| <= 1.2 and a mean |w|^2 <= 1.3, 4 classes", HEAD, head),
        ("features", "a mean |h|^2 <= 2 and |W| <= .8, a free bias, 5 classes", FEATURES, features),
    ):
        claims += [
            about(
                f"mixed_bounds_{name}_risk",
                f"least risk: {words}; best of 3 starts",
                value="risk",
                problem=problem,
                obtained=partial(_objective, bounded),
                tolerance=OBJECTIVE_TOLERANCE,
            ),
            about(
                f"mixed_bounds_{name}_cosine",
                f"largest cosine between features: {words}",
                value="cosine",
                problem=problem,
                obtained=partial(_cosine, bounded),
                tolerance=GEOMETRY_TOLERANCE,
            ),
            about(
                f"mixed_bounds_{name}_opnorm",
                f"spectral norm of the head, its mean row taken off: {words}",
                value="head_opnorm",
                problem=problem,
                obtained=partial(_head_opnorm, bounded),
                tolerance=GEOMETRY_TOLERANCE,
            ),
        ]
    return claims


def _objective(problem: Bounded) -> float:
    return solved(problem).objective


def _cosine(problem: Bounded) -> float:
    return cosines(solved(problem).features).max().item()


def _head_opnorm(problem: Bounded) -> float:
    return solved(problem).metrics["head_opnorm"]

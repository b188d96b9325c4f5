"""Features in a ball of too few dimensions for a simplex of all classes: several simplices, or a polygon."""

from __future__ import annotations

from functools import partial

from nc_bench.claims.bounded import Bounded, solved
from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Claim, predicted_claim

CASES = {
    (6, 3): ("three_pairs", 4.0),
    (7, 5): ("sizes_4_and_3", 3.0),
    (12, 8): ("four_triangles", 4.0),
    (7, 4): ("sizes_3_2_2", 3.0),
    (4, 2): ("square", 2.0),
    (7, 2): ("heptagon", 4.0),
}
"""(classes, width) -> the shape, and the radius. (7, 4) is within its domain, from a radius of 2 on."""

SHAPES = ((7, 5), (7, 2))
"""Whose angles and efficiency are claimed too."""

BELOW, BETTER = 0.3, 1.7257270
"""A radius below the domain of (7, 4), and the least risk there; simplices of 3, 2 and 2 classes have 1.726258."""


def claims() -> list[Claim]:
    """Least risks, angles and efficiencies, and where the simplices are an upper bound only."""
    return [*(_risk(case) for case in CASES), *(claim for case in SHAPES for claim in _shape(case)), _better()]


def _risk(case: tuple[int, int]) -> Claim:
    classes, width = case
    name, radius = CASES[case]
    return predicted_claim(
        f"narrow_risk_{name}",
        f"least risk of {classes} classes in {width} dimensions, |h| <= {radius:g}, |W| <= 1: "
        f"{name.replace('_', ' ')}; best of 3 starts",
        setting="penultimate_ball",
        value="risk",
        problem={"classes": classes, "width": width, "radius": radius},
        obtained=lambda: solved(Bounded(classes=classes, width=width, radius=radius)).objective,
        tolerance=OBJECTIVE_TOLERANCE,
    )


def _shape(case: tuple[int, int]) -> list[Claim]:
    classes, width = case
    name, radius = CASES[case]
    about = partial(
        predicted_claim,
        setting="penultimate_ball",
        problem={"classes": classes, "width": width, "radius": radius},
        tolerance=GEOMETRY_TOLERANCE,
    )
    return [
        about(
            f"narrow_{short}_{name}",
            f"{value} of {classes} classes in {width} dimensions: {name.replace('_', ' ')}",
            value=value,
            obtained=partial(_metric, value, case),
        )
        for short, value in (("angles", "nc2_equiangular"), ("efficiency", "simplex_efficiency"))
    ]


def _better() -> Claim:
    return Claim(
        name="narrow_other_frames",
        statement="outside the domain: 7 classes in 4 dimensions at radius .3 have a smaller risk than simplices of 3, "
        "2 and 2 classes, 1.726258; best of 3 starts",
        source="no closed form; minimised numerically",
        predicted=lambda: BETTER,
        obtained=lambda: solved(Bounded(classes=7, width=4, radius=BELOW)).objective,
        tolerance=1e-6,
    )


def _metric(name: str, case: tuple[int, int]) -> float:
    classes, width = case
    return solved(Bounded(classes=classes, width=width, radius=CASES[case][1])).metrics[name]

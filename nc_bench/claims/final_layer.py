"""Outputs in an l^p ball (section 3 of the paper)."""

from __future__ import annotations

from functools import cache, partial

from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Claim, predicted_claim
from nc_bench.claims.problems import chosen_classes, unconstrained
from nc_bench.claims.solve import Solution, minimise

RADIUS = 2.0
UNEQUAL = (100.0, 10.0, 1.0, 1.0)


def claims() -> list[Claim]:
    """Least risks for several p, and the minimiser under unequal class weights."""
    return [*(_risk(p) for p in (1.5, 2.0, 3.0, 10.0)), *_weighted()]


def _risk(p: float) -> Claim:
    return predicted_claim(
        f"final_layer_risk_p{p:g}",
        f"least risk of 10 classes with outputs in the l^{p:g} ball of radius 2",
        setting="final_layer_ball",
        value="risk",
        problem={"classes": 10, "radius": RADIUS, "p": p},
        obtained=lambda: _solved(p, (1.0,) * 10).objective,
        tolerance=OBJECTIVE_TOLERANCE,
    )


def _weighted() -> list[Claim]:
    about = partial(predicted_claim, setting="final_layer_ball", problem={"classes": 4, "radius": RADIUS, "p": 3.0})
    return [
        about(
            "final_layer_risk_class_weights",
            "class weights 100:10:1:1 do not change the least risk in the l^3 ball of radius 2",
            value="risk",
            obtained=lambda: _solved(3.0, UNEQUAL).objective,
            tolerance=OBJECTIVE_TOLERANCE,
        ),
        about(
            "final_layer_alpha",
            "output of the true class, the largest, under class weights 100:10:1:1",
            value="alpha",
            obtained=lambda: _solved(3.0, UNEQUAL).outputs.diagonal().max().item(),
            tolerance=GEOMETRY_TOLERANCE,
        ),
        about(
            "final_layer_beta",
            "output of another class, the smallest, under class weights 100:10:1:1",
            value="beta",
            obtained=lambda: _solved(3.0, UNEQUAL).outputs.min().item(),
            tolerance=GEOMETRY_TOLERANCE,
        ),
    ]


@cache
def _solved(p: float, class_weights: tuple[float, ...]) -> Solution:
    """One sample a class. Outputs are shrunk into the ball in the forward pass: nothing is left to project."""
    config = unconstrained(
        len(class_weights),
        constraints={"outputs": {"radius": RADIUS, "p": p}},
        objective={"class_weights": class_weights},
    )
    return minimise(config, chosen_classes([1] * len(class_weights)))

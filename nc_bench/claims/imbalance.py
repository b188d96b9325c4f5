"""Classes of very different size: a simplex where every feature is bounded, merged minorities under weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from scipy.optimize import bisect
from torch import Tensor

from nc_bench.claims.claim import Claim, predicted_claim, predicted_value
from nc_bench.claims.problems import chosen_classes, unconstrained
from nc_bench.claims.solve import Solution, class_means, cosines, descend, minimise

CLASSES, MAJORITY = 10, 5
RATIOS = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 12.0, 12.5, 15.0, 30.0, 100.0)
PEELED_COSINES = {2.0: -0.0673, 5.0: 0.0725, 10.0: 0.5175, 12.0: 0.9404, 12.5: 1.0, 100.0: 1.0}
"""Between minority classifiers in the convex programme of the layer-peeled model, E_W = 1, E_H = 5, by ratio; it
reaches 1 at a ratio of 12.2."""

HEAD_ENERGY, FEATURE_ENERGY = 1.0, 5.0
COUNTS = (20, 20, 20, 5, 5, 5)
COUPLINGS = (0.2 / sum(COUNTS), 3.5 / sum(COUNTS))
"""sqrt(lw lh) between which the minority is looked at: from hardly any decay to nearly too much for the majority."""

MERGED = 0.01
"""Distance between minority classifiers over that between majority ones, below which they count as merged."""


def claims() -> list[Claim]:
    """The same weights, 100:1, under both kinds of bound."""
    return [_in_balls(), _peeled_balanced(), *(_peeled_cosine(ratio) for ratio in PEELED_COSINES), _threshold()]


def _in_balls() -> Claim:
    return predicted_claim(
        "imbalance_ball_cosine",
        "|h| <= 3, |W| <= 1, five classes with weight 100, five with 1: largest cosine between minority means",
        setting="penultimate_ball",
        value="cosine",
        problem={"classes": CLASSES, "radius": 3.0},
        obtained=lambda: cosines(class_means(in_balls()[RATIOS[-1]])[MAJORITY:]).max().item(),
        tolerance=1e-3,
    )


def _peeled_balanced() -> Claim:
    return predicted_claim(
        "imbalance_peeled_cosine_1",
        "mean square bounds, equal weights: cosine between classifiers",
        setting="layer_peeled",
        value="cosine",
        problem={"classes": CLASSES, "head_energy": HEAD_ENERGY, "feature_energy": FEATURE_ENERGY},
        obtained=lambda: _minority_cosine(1.0),
        tolerance=1e-3,
        relative=False,
    )


def _peeled_cosine(ratio: float) -> Claim:
    return Claim(
        name=f"imbalance_peeled_cosine_{ratio:g}",
        statement=f"mean square bounds, five classes with weight {ratio:g}, five with 1: minority cosine",
        source="convex programme of the layer-peeled model, Fang et al. 2021",
        predicted=lambda: PEELED_COSINES[ratio],
        obtained=lambda: _minority_cosine(ratio),
        tolerance=1e-3,
        relative=False,
    )


def _minority_cosine(ratio: float) -> float:
    return cosines(peeled()[ratio].weight[MAJORITY:]).mean().item()


def _threshold() -> Claim:
    return Claim(
        name="minority_collapse_threshold",
        statement="weight decay, class sizes 20:20:20:5:5:5: sqrt(lw lh) at which the minority classifiers merge",
        source="Hong & Ling 2023 (arXiv:2309.09725), sharp threshold for two class sizes",
        predicted=_predicted_coupling,
        obtained=_merging_coupling,
        tolerance=1e-3,
    )


def _predicted_coupling() -> float:
    unit = {"counts": COUNTS, "head_decay": 1.0, "feature_decay": 1.0}
    return (min(COUNTS) / predicted_value("minority_collapse", "threshold_count", unit)) ** 0.5


@cache
def _merging_coupling() -> float:
    """Bisection for the decay at which the relative distance of the minority classifiers falls below MERGED."""

    def excess(coupling: float) -> float:
        return relative_distance(decayed(COUNTS, coupling).weight, COUNTS.count(max(COUNTS))) - MERGED

    return bisect(excess, *COUPLINGS, rtol=1e-4)


def relative_distance(rows: Float[Tensor, "k d"], majority: int) -> float:
    """Mean distance between the rows after the first `majority` ones over that between the first ones."""
    return (torch.pdist(rows[majority:]).mean() / torch.pdist(rows[:majority]).mean()).item()


@cache
def in_balls() -> dict[float, Solution]:
    """By ratio of the class weights: every feature and the head's singular values bounded."""
    constraints = {"features": {"radius": 3.0}, "head": {"radius": 1.0}}
    return _by_ratio(constraints, feature_rate=30)


@cache
def peeled() -> dict[float, Solution]:
    """By ratio of the class weights: mean squares bounded."""
    constraints = {
        "features": {"radius": FEATURE_ENERGY**0.5, "set": "mean_square"},
        "head": {"radius": HEAD_ENERGY**0.5, "set": "mean_square"},
    }
    return _by_ratio(constraints, feature_rate=20)


def _by_ratio(constraints: dict[str, Any], feature_rate: float) -> dict[float, Solution]:
    minority = CLASSES - MAJORITY
    trials = [
        unconstrained(
            CLASSES + 2,
            constraints=constraints,
            objective={"class_weights": [ratio] * MAJORITY + [1.0] * minority},
            learning_rate=0.3,
            feature_rate=feature_rate,
        )
        for ratio in RATIOS
    ]
    return dict(zip(RATIOS, descend(trials, chosen_classes([1] * CLASSES), steps=3000), strict=True))


def decayed(counts: Sequence[int], coupling: float) -> Solution:
    """Weight decay and feature decay of this size each, signed features."""
    objective = {"weight_decay": coupling, "feature_decay": coupling}
    return minimise(unconstrained(len(counts) + 2, objective=objective), chosen_classes(counts))

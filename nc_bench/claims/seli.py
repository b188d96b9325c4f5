"""Unequal class sizes and vanishing decay: the SELI geometry, which no trained run comes near.

The distance from it falls as the inverse of log(1/decay). So the limit is compared with an extrapolation of the
solutions at four decays; and the solution at a decay of 1e-8, still far from the limit, with the minimum of the convex
programme at that decay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache, partial
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench import theory
from nc_bench.claims.claim import Claim
from nc_bench.claims.problems import chosen_classes, unconstrained
from nc_bench.claims.solve import class_means, minimise

MAJORITY, CLASSES = 5, 10
COUNTS = (10,) * MAJORITY + (1,) * (CLASSES - MAJORITY)
DECAYS = (1e-5, 1e-6, 1e-8, 1e-12)
"""Of head and features alike, from which the limit is extrapolated."""

FINITE_DECAY, FINITE_SCALE = 1e-8, 10
FINITE = {"norm_ratio": 1.7280, "major_cosine": -0.1578, "minor_cosine": 0.0254, "mixed_cosine": -0.1275}
"""Of W, at the decay FINITE_DECAY for FINITE_SCALE times as many samples: minimum of the mean loss plus
decay |Z|_nuclear over the logits Z, solved apart from this package."""

WORDS = {
    "norm_ratio": "norm of a large class over that of a small one",
    "major_cosine": "cosine between large classes",
    "minor_cosine": "cosine between small classes",
    "mixed_cosine": "cosine between a large class and a small one",
}
PAIRS = {"major_cosine": (0, 1), "minor_cosine": (CLASSES - 2, CLASSES - 1), "mixed_cosine": (0, CLASSES - 1)}
SIDES = {"head": "classifiers", "feature": "class means"}


def claims() -> list[Claim]:
    """The extrapolated limit on both sides, and the classifiers at a finite decay."""
    limits = [_limit(side, quantity) for side in SIDES for quantity in WORDS]
    return [*limits, *(_finite(quantity) for quantity in WORDS)]


def _limit(side: str, quantity: str) -> Claim:
    return Claim(
        name=f"seli_{side}_{quantity}",
        statement=f"{WORDS[quantity]}, {SIDES[side]}, class sizes 10:1, extrapolated to vanishing decay",
        source=theory.predict("seli", counts=COUNTS).source,
        predicted=partial(predicted, side, quantity),
        obtained=lambda: _extrapolated()[side, quantity],
        tolerance=2e-3,
        relative=False,
    )


def _finite(quantity: str) -> Claim:
    return Claim(
        name=f"finite_decay_{quantity}",
        statement=f"{WORDS[quantity]}, classifiers, class sizes 100:10, decay 1e-8: still far from the limit",
        source="convex programme: min loss(Z) + sqrt(lw lh) |Z|_nuclear, solved numerically",
        predicted=lambda: FINITE[quantity],
        obtained=lambda: _at_finite_decay()["head", quantity],
        tolerance=1e-3,
        relative=False,
    )


def predicted(side: str, quantity: str) -> float:
    """One number of the SELI geometry of COUNTS."""
    values = theory.predict("seli", counts=COUNTS).values
    norms, pairs = values[f"{side}_norm_ratio_k"], values[f"{side}_cosine_pairs"]
    assert isinstance(norms, tuple) and isinstance(pairs, tuple)
    if quantity == "norm_ratio":
        return norms[0] / norms[-1]
    return pairs[list(combinations(range(CLASSES), 2)).index(PAIRS[quantity])]


Shape = Mapping[tuple[str, str], float]
"""By side and quantity."""


def solved(counts: Sequence[int], decay: float) -> Shape:
    """The shape of the optimum at this decay of head and features, signed features, no bias."""
    config = unconstrained(CLASSES + 2, objective={"weight_decay": decay, "feature_decay": decay})
    solution = minimise(config, chosen_classes(counts))
    rows = {"head": solution.weight, "feature": class_means(solution)}
    return {(side, quantity): _read(rows[side], quantity) for side in SIDES for quantity in WORDS}


def _read(rows: Float[Tensor, "k d"], quantity: str) -> float:
    if quantity == "norm_ratio":
        norms = rows.norm(dim=1)
        return (norms[:MAJORITY].mean() / norms[MAJORITY:].mean()).item()
    first, second = PAIRS[quantity]
    return torch.nn.functional.cosine_similarity(rows[first], rows[second], dim=0).item()


@cache
def _at_finite_decay() -> Shape:
    return solved([FINITE_SCALE * count for count in COUNTS], FINITE_DECAY)


@cache
def _extrapolated() -> Shape:
    """Value at zero of the polynomial in 1/log(1/decay) through the solutions at DECAYS."""
    shapes = [solved(COUNTS, decay) for decay in DECAYS]
    inverse = np.array([1 / math.log(1 / decay) for decay in DECAYS])
    at_zero = np.linalg.inv(np.vander(inverse, increasing=True))[0]
    return {key: float(at_zero @ [shape[key] for shape in shapes]) for key in shapes[0]}

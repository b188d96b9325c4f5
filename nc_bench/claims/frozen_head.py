"""The head frozen in a simplex against a head that learns: the question that section 4.1 of the paper leaves open.

Why do the features of a class meet in one point, and not anywhere in the affine space that the head maps to the same
outputs? Because their norm is bounded, or because the head moves? Here the first suffices: under a bound on the
features the classes collapse with a frozen head as they do with a learning one, at the same risk. Without a bound or
decay, the part of the features in the null space of a frozen head stays where it started; a learning head moves it.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Claim, predicted_claim
from nc_bench.claims.problems import chosen_classes, unconstrained
from nc_bench.claims.solve import Solution, descend, largest_objective, minimise

SECTION = "E & Wojtowytsch 2021, section 4.1"
FROZEN: dict[str, Any] = {"init": "simplex", "trainable": False}
CLASSES, PER_CLASS, WIDTH, RADIUS = 4, 5, 6, 3.0
DECAYED: dict[str, Any] = {"classes": CLASSES, "per_class": PER_CLASS, "feature_decay": 4e-3}
OPNORM = (CLASSES / (CLASSES - 1)) ** 0.5
"""Spectral norm of a simplex of unit rows."""

SEEDS = (0, 1, 2)
MOVED = 0.1
"""Least movement, under a learning head, of the features in the null space of the first W, relative to itself."""


def claims() -> list[Claim]:
    """Closed forms for the frozen head, and both kinds of head side by side."""
    return [*_decayed(), *(claim for frozen in (True, False) for claim in _in_a_ball(frozen)), *_null_space()]


def _decayed() -> list[Claim]:
    about = partial(predicted_claim, setting="frozen_simplex_head", problem=DECAYED)
    return [
        about(
            "frozen_head_objective",
            "least objective with the head frozen in a simplex, feature decay 4e-3, 4 classes of 5",
            value="objective",
            obtained=lambda: _frozen_under_decay().objective,
            tolerance=OBJECTIVE_TOLERANCE,
        ),
        about(
            "frozen_head_feature_norm",
            "largest feature norm of that minimiser",
            value="feature_norm",
            obtained=lambda: _frozen_under_decay().features.norm(dim=1).max().item(),
            tolerance=GEOMETRY_TOLERANCE,
        ),
    ]


def _in_a_ball(frozen: bool) -> list[Claim]:
    problem = {"classes": CLASSES, "radius": RADIUS, "head_norm": OPNORM}
    about = partial(predicted_claim, setting="penultimate_ball", problem=problem)
    name = "frozen_head" if frozen else "learning_head"
    words = f"{'a head frozen in a simplex' if frozen else 'a head that learns, of the same norm'}, |h| <= 3"
    return [
        about(
            f"{name}_risk_in_a_ball",
            f"least risk under {words}; worst of 3 starts",
            value="risk",
            obtained=lambda: largest_objective(partial(_balls, frozen)),
            tolerance=OBJECTIVE_TOLERANCE,
        ),
        about(
            f"{name}_collapse_in_a_ball",
            f"all samples of a class have one feature under {words}: largest nc1_radius",
            value="nc1_radius",
            obtained=lambda: max(solution.metrics["nc1_radius"] for solution in _balls(frozen)),
            tolerance=GEOMETRY_TOLERANCE,
            relative=False,
        ),
    ]


def _null_space() -> list[Claim]:
    return [
        Claim(
            name="frozen_head_unseen_features",
            statement="without bound or decay, the part of the features in the null space of a frozen W does not move: "
            "its largest movement, relative to itself",
            source=SECTION,
            predicted=lambda: 0.0,
            obtained=lambda: max(_movements(frozen=True)),
            tolerance=1e-12,
            relative=False,
        ),
        Claim(
            name="learning_head_unseen_features",
            statement="with a head that learns, the part of the features in the null space of the first W moves: its "
            "smallest movement, relative to itself",
            source=SECTION,
            predicted=lambda: MOVED,
            obtained=lambda: min(_movements(frozen=False)),
            tolerance=0.0,
            bound="at_least",
        ),
    ]


@cache
def _frozen_under_decay() -> Solution:
    config = unconstrained(WIDTH, head=FROZEN, objective={"feature_decay": DECAYED["feature_decay"]})
    return minimise(config, chosen_classes([PER_CLASS] * CLASSES))


@cache
def _balls(frozen: bool) -> list[Solution]:
    """Under a bound on every feature; on the head too, where it learns."""
    constraints: dict[str, Any] = {"features": {"radius": RADIUS}}
    if not frozen:
        constraints["head"] = {"radius": OPNORM}
    rates: dict[str, Any] = {"feature_rate": 200} if frozen else {"feature_rate": 20, "learning_rate": 0.3}
    head = FROZEN if frozen else None
    trials = [unconstrained(WIDTH, seed=seed, head=head, constraints=constraints, **rates) for seed in SEEDS]
    return descend(trials, chosen_classes([PER_CLASS] * CLASSES), steps=500)


def _movements(*, frozen: bool) -> list[float]:
    """Movement of the features within the null space of the first W, relative to their part there, for every start."""
    trials = [unconstrained(WIDTH, seed=seed, head=FROZEN if frozen else None) for seed in SEEDS]
    data = chosen_classes([PER_CLASS] * CLASSES)
    found = []
    for first, last in zip(descend(trials, data, steps=0), descend(trials, data, steps=200), strict=True):
        before, after = (_in_null_space(solution.features, first.weight) for solution in (first, last))
        found.append(((after - before).norm() / before.norm()).item())
    return found


def _in_null_space(features: Float[Tensor, "n d"], weight: Float[Tensor, "k d"]) -> Float[Tensor, "n d"]:
    """The part of every feature that is orthogonal to all rows of W."""
    return features - features @ torch.linalg.pinv(weight) @ weight

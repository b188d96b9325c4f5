"""Mixup under a head frozen in a simplex: every mixed sample has a feature of its own, between two rows of the head."""

from __future__ import annotations

from functools import cache, partial
from itertools import permutations
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Claim, predicted_claim
from nc_bench.claims.free_tensors import Minimum, lowest, unit_rows

MIXED: dict[str, Any] = {"classes": 4, "per_class": 5, "feature_decay": 4e-3, "mixup": 0.7}
PAIRS = list(permutations(range(MIXED["classes"]), 2))


def claims() -> list[Claim]:
    """The least objective, and how much of both rows a feature has."""
    about = partial(predicted_claim, setting="frozen_simplex_head", problem=MIXED)
    said = "head frozen in a simplex, feature decay 4e-3, targets .7 and .3, 4 classes"
    parts = [
        about(
            f"frozen_head_mixup_{part}",
            f"share of the row of the {which} target in a feature, the largest of all pairs: {said}",
            value=part,
            obtained=partial(_largest_share, index),
            tolerance=GEOMETRY_TOLERANCE,
        )
        for index, (part, which) in enumerate((("a", "larger"), ("b", "smaller")))
    ]
    return [
        about(
            "frozen_head_mixup_objective",
            f"least soft cross entropy with decay: {said}",
            value="objective",
            obtained=lambda: _solved().objective,
            tolerance=OBJECTIVE_TOLERANCE,
        ),
        about(
            "frozen_head_mixup_feature_norm",
            f"largest norm of a feature: {said}",
            value="feature_norm",
            obtained=lambda: _solved().tensors[0].norm(dim=1).max().item(),
            tolerance=GEOMETRY_TOLERANCE,
        ),
        *parts,
    ]


def _head() -> Float[Tensor, "k d"]:
    identity = torch.eye(MIXED["classes"], dtype=torch.float64)
    return unit_rows(identity - identity.mean(0))


@cache
def _solved() -> Minimum:
    """One mixed sample for every ordered pair of classes."""
    first, second = torch.tensor(PAIRS).T
    targets = torch.zeros(len(PAIRS), MIXED["classes"], dtype=torch.float64)
    targets[range(len(PAIRS)), first], targets[range(len(PAIRS)), second] = MIXED["mixup"], 1 - MIXED["mixup"]
    decay = MIXED["feature_decay"] * MIXED["classes"] * MIXED["per_class"]

    def objective(features: Tensor) -> Tensor:
        return cross_entropy(features @ _head().mT, targets) + decay / 2 * features.square().sum(1).mean()

    return lowest(objective, [(len(PAIRS), MIXED["classes"])], starts=1)


def _largest_share(index: int) -> float:
    """Least squares of every feature in its two rows."""
    rows = _head()[torch.tensor(PAIRS)]
    shares = torch.linalg.lstsq(rows.mT, _solved().tensors[0][:, :, None]).solution
    return float(shares[:, index].max())

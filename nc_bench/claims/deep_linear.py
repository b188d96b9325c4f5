"""Several linear factors over free features, all with decay: a simplex, antipodal pairs, or something of lower rank."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Claim, predicted_claim
from nc_bench.claims.free_tensors import Minimum, lowest
from nc_bench.claims.solve import smallest_lead

DECAY = 1e-3
BEST = {(10, 2): "simplex", (4, 3): "simplex", (4, 4): "pairs", (6, 3): "pairs", (8, 3): "pairs"}
"""(classes, layers) -> what has the lower objective at this decay, one sample a class."""

SAMPLES = (3, 3, 2)
SQUARED = (3, 3, 2)
"""Classes, layers and samples of a class."""

LOWER_RANK = 0.02402109
"""Least objective of a product of rank 2 for 6 classes and 5 layers: below simplex and pairs."""


def claims() -> list[Claim]:
    """Least objectives on both sides of the line between simplex and pairs, and for the squared error."""
    objectives = [_objective(f"deep_linear_{BEST[case]}_{case[0]}_classes_{case[1]}_layers", *case) for case in BEST]
    objectives.append(_objective("deep_linear_samples", *SAMPLES))
    objectives.append(_objective("deep_linear_squared_error", *SQUARED, loss="mse"))
    return [*objectives, _margin("simplex", 4, 3), _margin("pairs", 6, 3), _lower_rank()]


def _objective(name: str, classes: int, layers: int, per_class: int = 1, loss: str = "cross_entropy") -> Claim:
    words = "squared error" if loss == "mse" else "cross entropy"
    return predicted_claim(
        name,
        f"least {words} of {layers} linear factors with decay 1e-3, {classes} classes of {per_class}; best of 6 starts",
        setting="deep_linear",
        value="objective",
        problem={"classes": classes, "layers": layers, "decay": DECAY, "per_class": per_class, "loss": loss},
        obtained=lambda: _solved(classes, layers, per_class=per_class, loss=loss).objective,
        tolerance=OBJECTIVE_TOLERANCE,
    )


def _margin(shape: str, classes: int, layers: int) -> Claim:
    return predicted_claim(
        f"deep_linear_{shape}_margin",
        f"smallest lead of a true class there, {classes} classes and {layers} factors: {shape}",
        setting="deep_linear",
        value="margin",
        problem={"classes": classes, "layers": layers, "decay": DECAY},
        obtained=lambda: _lead(_solved(classes, layers, per_class=1, loss="cross_entropy")),
        tolerance=GEOMETRY_TOLERANCE,
    )


def _lower_rank() -> Claim:
    return Claim(
        name="deep_linear_lower_rank",
        statement="outside the domain: 6 classes and 5 factors of width 2, decay 1e-3: a product of rank 2 is below "
        "simplex and pairs; best of 6 starts",
        source="no closed form; minimised numerically",
        predicted=lambda: LOWER_RANK,
        obtained=lambda: _solved(6, 5, rank=2).objective,
        tolerance=1e-6,
    )


@cache
def _solved(
    classes: int, layers: int, *, per_class: int = 1, loss: str = "cross_entropy", rank: int | None = None
) -> Minimum:
    labels = torch.arange(classes).repeat(per_class)
    targets = one_hot(labels).double()

    def objective(*factors: Tensor) -> Tensor:
        logits = _product(factors).mT
        error = (logits - targets).square().sum(1).mean() / 2 if loss == "mse" else cross_entropy(logits, labels)
        return error + DECAY / 2 * torch.stack([factor.square().sum() for factor in factors]).sum()

    width = rank or classes
    shapes = [(classes, width), *[(width, width)] * (layers - 2), (width, len(labels))]
    return lowest(objective, shapes, starts=6, size=0.6)


def _product(factors: tuple[Tensor, ...]) -> Tensor:
    """Logits, classes by samples: the last factor is the features."""
    return torch.linalg.multi_dot(factors)


def _lead(found: Minimum) -> float:
    logits = _product(found.tensors).mT
    return smallest_lead(logits, torch.arange(len(logits)))

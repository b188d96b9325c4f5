"""Squared error with decay and unequal class sizes: the norms that are left, dead classes, and a decayed bias."""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Claim, predicted_claim
from nc_bench.claims.free_tensors import lowest
from nc_bench.claims.solve import Solution, cosines

COUNTS = (9, 4, 1)
DECAYS = {"head_decay": 2e-2, "feature_decay": 5e-3}
DYING = {"head_decay": 4e-2, "feature_decay": 2e-1}
"""N^2 lw lh = 1.57: above the size of the smallest class."""

EVEN = (2, 2, 2)
BIAS_DECAYS = {"simplex": 0.02, "between": 0.1, "nearly_frame": 1.0}
"""Decays of the bias, below q/(1-q) = .044, above it and far above."""

LIGHT = {"head_decay": 0.1, "feature_decay": 1e-3}


def claims() -> list[Claim]:
    """Norms without and with a free bias, a dead class, and the cosine under a decayed bias."""
    return [*_norms(None), *_norms("free"), *_dying(), *(_cosine(name) for name in BIAS_DECAYS)]


def _norms(bias: str | None) -> list[Claim]:
    about = partial(
        predicted_claim,
        setting="weight_decay_mse",
        problem={**DECAYS, "counts": COUNTS, "bias": bias},
        tolerance=GEOMETRY_TOLERANCE,
    )
    kind = "free_bias" if bias else "no_bias"
    said = f"squared error with decay, class sizes 9:4:1, {kind.replace('_', ' ')}"
    return [
        about(
            f"mse_decay_{part}_norm_{which}_class_{kind}",
            f"norm of the {words} of the {which} class: {said}",
            value=value,
            entry=entry,
            obtained=partial(_norm, part, entry, bias),
        )
        for part, value, words in (("head", "head_row_norms", "row of W"), ("feature", "feature_norms", "features"))
        for which, entry in (("largest", 0), ("smallest", 2))
    ] + [
        about(
            f"mse_decay_risk_{kind}",
            f"cross entropy at that minimum: {said}",
            value="risk",
            obtained=lambda: _solved(COUNTS, bias=bias, **DECAYS).metrics["risk"],
        )
    ]


def _dying() -> list[Claim]:
    about = partial(predicted_claim, setting="weight_decay_mse", problem={**DYING, "counts": COUNTS})
    said = "class sizes 9:4:1, N^2 lw lh = 1.57"
    return [
        about(
            "mse_decay_dead_class_objective",
            f"least squared error where the smallest class is dead: {said}; best of 3 starts",
            value="objective",
            obtained=lambda: _solved(COUNTS, **DYING).objective,
            tolerance=OBJECTIVE_TOLERANCE,
        ),
        about(
            "mse_decay_dead_class_norm",
            f"norm of the features of that class: {said}",
            value="feature_norms",
            entry=2,
            obtained=lambda: _solved(COUNTS, **DYING).features[-1].norm().item(),
            tolerance=GEOMETRY_TOLERANCE,
            relative=False,
        ),
    ]


def _cosine(name: str) -> Claim:
    decay = BIAS_DECAYS[name]
    return predicted_claim(
        f"mse_decay_bias_cosine_{name}",
        f"largest cosine between class means, the bias decayed by {decay:g}, 3 classes of 2",
        setting="weight_decay_mse",
        value="cosine",
        problem={**LIGHT, "counts": EVEN, "bias": decay},
        obtained=lambda: cosines(_solved(EVEN, bias=decay, **LIGHT).features[::2]).max().item(),
        tolerance=GEOMETRY_TOLERANCE,
    )


def _norm(part: str, entry: int, bias: str | None) -> float:
    found = _solved(COUNTS, bias=bias, **DECAYS)
    rows = found.weight[entry : entry + 1] if part == "head" else found.features[found.labels == entry]
    return rows.norm(dim=1).max().item()


@cache
def _solved(
    counts: tuple[int, ...], *, head_decay: float, feature_decay: float, bias: str | float | None = None
) -> Solution:
    """One half of the mean squared error to one-hot targets plus penalties, in one dimension more than classes."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    targets, width = one_hot(labels).double(), len(counts) + 1
    bias_decay = 0.0 if bias is None or isinstance(bias, str) else bias

    def outputs(features: Tensor, weight: Tensor, offset: Tensor) -> Tensor:
        return features @ weight.mT + (0.0 if bias is None else offset)

    def objective(features: Tensor, weight: Tensor, offset: Tensor) -> Tensor:
        error = (outputs(features, weight, offset) - targets).square().sum(1).mean() / 2
        penalties = head_decay * weight.square().sum() + feature_decay * features.square().sum()
        return error + (penalties + bias_decay * offset.square().sum()) / 2

    found = lowest(objective, [(len(labels), width), (len(counts), width), (len(counts),)])
    features, weight, offset = found.tensors
    return Solution(
        objective=found.objective,
        lowest=found.objective,
        features=features,
        outputs=outputs(features, weight, offset),
        labels=labels,
        weight=weight,
        bias=None if bias is None else offset,
    )

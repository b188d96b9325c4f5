"""Residuals over batches and processes are those of all rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from small_runs import network, table
from torch import Tensor

from nc_bench.config import Config
from nc_bench.constraints import ConstraintResiduals

BALLS = {"features": {"radius": 0.5, "p": 3.0}, "head": {"radius": 0.2}, "outputs": {"radius": 0.3}}
SPHERE = {"features": {"radius": 0.5, "set": "sphere"}, "head": None}
MEANS = {"features": {"radius": 0.5, "set": "mean_square"}, "head": {"radius": 0.2, "set": "mean_square"}}


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


FEATURES, OUTPUTS, WEIGHT = random(2, 10, 6, seed=0), random(2, 10, 3, seed=1), random(2, 3, 6, seed=2)


def trials(make: Any, sets: dict[str, Any]) -> list[Config]:
    return [make(seed=seed, constraints={"outputs": None, **sets}) for seed in (0, 1)]


def watched(configs: list[Config], pieces: Sequence[slice], gather: Any = None) -> ConstraintResiduals:
    residuals = ConstraintResiduals(configs) if gather is None else ConstraintResiduals(configs, gather)
    for rows in pieces:
        residuals.update(FEATURES[:, rows].float(), OUTPUTS[:, rows].float())
    return residuals


def by_hand(sets: dict[str, Any]) -> dict[str, Tensor]:
    """The residuals of BALLS, SPHERE and MEANS as their formulas are written."""
    features, outputs = FEATURES.float().double(), OUTPUTS.float().double()
    if sets is MEANS:
        means = {"feature_residual": (features, 0.5), "head_residual": (WEIGHT, 0.2)}
        return {name: x.square().sum(-1).mean(-1).sqrt() / radius - 1 for name, (x, radius) in means.items()}
    if sets is SPHERE:
        return {"feature_residual": (features.norm(dim=-1) / 0.5 - 1).abs().amax(-1)}
    return {
        "feature_residual": torch.linalg.vector_norm(features, 3, dim=-1).amax(-1) / 0.5 - 1,
        "output_residual": outputs.norm(dim=-1).amax(-1) / 0.3 - 1,
        "head_residual": torch.linalg.matrix_norm(WEIGHT, 2) / 0.2 - 1,
    }


@pytest.mark.parametrize(("make", "sets"), [(network, BALLS), (network, SPHERE), (table, SPHERE), (table, MEANS)])
@pytest.mark.parametrize("pieces", [[slice(0, 10)], [slice(0, 1), slice(1, 8), slice(8, 10)]])
def test_batches_come_together(make: Any, sets: dict[str, Any], pieces: Sequence[slice]) -> None:
    found, expected = watched(trials(make, sets), pieces).compute(WEIGHT), by_hand(sets)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values.tolist(), rel=1e-13)


@pytest.mark.parametrize(("make", "sets"), [(network, BALLS), (table, MEANS)])
def test_processes_come_together(make: Any, sets: dict[str, Any]) -> None:
    """Of two processes the second saw the last rows; `gather` is called as often in both, in the same order."""
    configs = trials(make, sets)
    sent: list[list[Tensor]] = []

    def send(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        sent.append(list(tensors))
        return [list(tensors)]

    watched(configs, [slice(3, 10)], send).compute(WEIGHT)
    theirs = iter(sent)
    first = watched(configs, [slice(0, 3)], lambda tensors: [list(tensors), next(theirs)])
    found, expected = first.compute(WEIGHT), by_hand(sets)
    assert next(theirs, None) is None
    for name, values in expected.items():
        assert found[name] == pytest.approx(values.tolist(), rel=1e-13)


def test_no_bound_has_no_residual() -> None:
    assert watched(trials(network, {"features": None, "head": None}), [slice(0, 10)]).compute(WEIGHT) == {}

"""The laws along training: the row sum against torch's own optimizer, every step and feature; the claims."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from nc_bench.claims import laws
from nc_bench.claims.claim import check
from nc_bench.claims.laws import row_sum_law, trained_run
from nc_bench.config import Config


def sgd(decay: float = 0.0, **optimizer: object) -> Config:
    return laws.digits_mlp((4,), {"name": "sgd", "lr": 0.3, **optimizer}, weight_decay=decay)


@pytest.mark.parametrize("momentum, nesterov, decay", [(0.0, False, 0.2), (0.9, False, 0.05), (0.7, True, 0.1)])
def test_the_law_is_what_torchs_sgd_does(momentum: float, nesterov: bool, decay: float) -> None:
    random = torch.Generator().manual_seed(1)
    features = torch.randn(20, 5, generator=random, dtype=torch.float64)
    labels = torch.arange(20) % 3
    weight = torch.randn(3, 5, generator=random, dtype=torch.float64).requires_grad_()
    optimizer = torch.optim.SGD([weight], lr=0.3, momentum=momentum, nesterov=nesterov, weight_decay=decay)
    seen, rates = [weight.detach().sum(0)], [0.3 / (1 + step) for step in range(100)]
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(features @ weight.mT, labels, label_smoothing=0.1).backward()
        optimizer.step()
        seen.append(weight.detach().sum(0))
    config = sgd(decay, momentum=momentum, nesterov=nesterov)
    found = row_sum_law(config, seen[0].numpy(), rates)
    np.testing.assert_allclose(found, torch.stack(seen).numpy(), atol=1e-12)
    assert not np.allclose(found[-1], found[0], rtol=0.1)


def test_the_exponential_is_only_the_leading_order() -> None:
    law = row_sum_law(sgd(5e-3, momentum=0.9), np.ones(1), [0.1] * 1000)[-1, 0]
    assert law / math.exp(-0.1 * 5e-3 * 1000 / (1 - 0.9)) == pytest.approx(0.81, abs=0.01)


@pytest.mark.parametrize("run, network", [("sgd", 0), ("sgd", 1), ("sgd", 2), ("nesterov", 0)])
def test_every_coordinate_of_every_step_obeys(run: str, network: int) -> None:
    path = trained_run(run)
    seen = path.row_sums[:, network].numpy()
    law = row_sum_law(path.configs[network], seen[0], path.rates)
    assert np.abs(seen - law).max() < 1e-12 * np.abs(seen[0]).max()


def test_the_residual_is_undefined_without_decay() -> None:
    residuals = trained_run("sgd").residuals
    assert residuals[:, laws.UNDECAYED].isnan().all()
    assert residuals[:, [laws.COUPLED, laws.DECOUPLED]].isfinite().all()


def test_the_row_sum_under_a_wrong_law_fails() -> None:
    (claim,) = [claim for claim in laws.claims() if claim.name == "law_row_sum_coupled"]
    path = trained_run("sgd")
    start = path.row_sums[0, laws.COUPLED].numpy()
    for other in (sgd(laws.DECAY), sgd(laws.DECAY, momentum=0.9, nesterov=True), sgd(momentum=0.9)):
        wrong = float(np.abs(row_sum_law(other, start, path.rates)).mean())
        assert not check(replace(claim, predicted=partial(float, wrong))).holds

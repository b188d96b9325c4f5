"""Laws that hold along the training of every network, checked on multilayer perceptrons trained on real digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from torch import Tensor

from nc_bench.claims.claim import Claim
from nc_bench.config import Config, Sgd
from nc_bench.data import load_dataset
from nc_bench.metrics import CollapseMetrics
from nc_bench.recording import Recorder
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.optimizers import learning_rate_factor
from nc_bench.training.stationarity import stationarity_residuals

MOMENTUM = 0.9
DECAY, STRONG_DECAY = 5e-3, 2e-2
"""Weight decay of the runs that record the row sum, and of those that go on to a stationary point."""

ROW_SUMS = "gradients of softmax cross entropy have zero row sum; the update of SGD with momentum"
STATIONARY = "the gradient of cross entropy with weight decay vanishes"
MEANS = "E & Wojtowytsch 2021, Lemma 3.1, class by class"
FLOOR = "E & Wojtowytsch 2021, Cor. 4.2, averaged over all permutations of the classes"


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """Networks trained together (t), in float64, over n steps.

    row_sums: r = W^T 1 before the first step and after each, m = n + 1. rates: the learning rate of each step. rows:
    the metrics of every recorded epoch, both splits, all networks. residuals: at every recorded epoch the relative
    residual of l W = (1/N) (Y - P)^T H with the decay l that acts on the network, NaN where there is none.
    """

    configs: Sequence[Config]
    row_sums: Float64[Tensor, "m t d"]
    rates: Sequence[float]
    rows: Sequence[CollapseMetrics]
    residuals: Float64[Tensor, "e t"]


def digits_mlp(
    widths: Sequence[int], optimizer: Mapping[str, Any], *, weight_decay: float = 0.0, **rest: Any
) -> Config:
    """A multilayer perceptron on the digits, with batch norm if it is bounded; `rest` replaces whole sections."""
    settings = {
        "device": "cpu",
        "dtype": "float64",
        "data": {"name": "digits"},
        "model": {"name": "mlp", "widths": widths, "batch_norm": "constraints" in rest, "final_activation": False},
        "objective": {"weight_decay": weight_decay},
        "optimizer": optimizer,
        "schedule": {"name": "cosine"},
        "training": {"epochs": 20, "batch_size": 128},
    }
    return Config.model_validate(settings | rest)


def _sgd(lr: float, **rest: Any) -> dict[str, Any]:
    return {"name": "sgd", "lr": lr, "momentum": MOMENTUM, **rest}


SMALL = (64, 32)
UNTIL_STATIONARY: Mapping[str, Any] = {
    "schedule": {"name": "constant"},
    "training": {"epochs": 500, "batch_size": None},
}

RUNS: Mapping[str, tuple[Config, ...]] = {
    "sgd": (
        digits_mlp(SMALL, _sgd(0.05), weight_decay=DECAY),
        digits_mlp(SMALL, _sgd(0.05, decoupled_decay=DECAY / (1 - MOMENTUM))),
        digits_mlp(SMALL, _sgd(0.05)),
    ),
    "nesterov": (digits_mlp(SMALL, _sgd(0.05, nesterov=True), weight_decay=DECAY),),
    "adam": (digits_mlp(SMALL, {"name": "adam", "lr": 1e-3}),),
    "stationary": (
        digits_mlp((32,), _sgd(0.5), weight_decay=STRONG_DECAY, **UNTIL_STATIONARY),
        digits_mlp((32,), _sgd(0.5, decoupled_decay=STRONG_DECAY / (1 - MOMENTUM)), **UNTIL_STATIONARY),
    ),
    "balls": (
        digits_mlp(
            (128, 128, 32),
            _sgd(0.05),
            constraints={"features": {"radius": 5.0}, "head": {"radius": 1.0}},
            head={"bias": False},
            training={"epochs": 60, "batch_size": 128},
        ),
    ),
}
"""What is trained, by name: the networks of one entry are one stacked program."""

COUPLED, DECOUPLED, UNDECAYED = 0, 1, 2
"""The networks of the run "sgd"; the first two are also those of "stationary"."""

RECORDINGS = 20
"""Recorded epochs of a run, besides the one before training."""


@cache
def trained_run(name: str) -> TrainedRun:
    """The run of that name in RUNS: the package's own training, every step's row sum and RECORDINGS recordings."""
    configs = RUNS[name]
    ensemble = Ensemble(configs, load_dataset(configs[0].data), torch.device("cpu"))
    recorder = Recorder(ensemble.model, configs, ensemble.classes)
    weight = ensemble.model.head.weight.detach()
    row_sums, rows, residuals = [weight.sum(1)], [], []
    epochs = configs[0].training.epochs
    for epoch in range(epochs + 1):
        if epoch > 0:
            row_sums += [weight.sum(1) for _ in ensemble.steps_of_epoch()]
        if epoch % (epochs // RECORDINGS) == 0:
            metrics, residual = _measure(ensemble, recorder)
            rows += metrics
            residuals.append(residual)
    steps, schedule = ensemble.total_steps, configs[0].schedule
    return TrainedRun(
        configs=configs,
        row_sums=torch.stack(row_sums),
        rates=[configs[0].optimizer.lr * learning_rate_factor(schedule, step, steps) for step in range(steps)],
        rows=rows,
        residuals=torch.tensor(residuals, dtype=torch.float64),
    )


def _measure(ensemble: Ensemble, recorder: Recorder) -> tuple[list[CollapseMetrics], list[float]]:
    """The metrics of both splits, and the residual of every network on the training split."""
    train, test = ensemble.train_split(), ensemble.test_split()
    assert test is not None
    seen = recorder.record(train)
    metrics = [*seen.penultimate.metrics, *recorder.record(test, centres=seen.centres).penultimate.metrics]
    return metrics, [residual for residual, _ in stationarity_residuals(ensemble, train, seen)]


def row_sum_law(config: Config, start: NDArray[np.float64], rates: Sequence[float]) -> NDArray[np.float64]:
    """r = W^T 1 before the first step and after each under SGD, (n+1, d), from `start` (d,) and n learning rates.

    Every coordinate obeys v' = beta v + l r and r' = r - eta v' (Nesterov: r' = r - eta (l r + beta v')), v = 0 at
    first, with coupled decay l; with decoupled decay l it is r' = (1 - eta l) r. Exact for softmax cross entropy
    without constraint on W, whatever the data, the batches and the rest of the network.
    """
    optimizer = config.optimizer
    assert isinstance(optimizer, Sgd)
    beta, coupled = optimizer.momentum, config.objective.decay_of_head
    decoupled = optimizer.decoupled_decays[1]
    r, v = start, np.zeros_like(start)
    found = [r]
    for rate in rates:
        pull = coupled * r
        v = beta * v + pull
        r = (1 - rate * decoupled) * r - rate * (pull + beta * v if optimizer.nesterov else v)
        found.append(r)
    return np.stack(found)


def claims() -> list[Claim]:
    """Row sums under SGD, and that Adam breaks their law; the stationary point; what the risk is never below."""
    return [
        _row_sum("sgd", COUPLED, "coupled", "SGD with momentum and coupled decay"),
        _row_sum("sgd", DECOUPLED, "decoupled", "SGD with momentum and decoupled decay"),
        _row_sum("sgd", UNDECAYED, "conserved", "SGD with momentum, without decay: conserved"),
        _row_sum("nesterov", COUPLED, "nesterov", "SGD with Nesterov's momentum and coupled decay"),
        Claim(
            name="law_row_sum_adam",
            statement="Adam breaks the law: without decay W^T 1 moves by more than this share of itself",
            source=ROW_SUMS,
            predicted=lambda: 0.01,
            obtained=_moved_by_adam,
            tolerance=0.0,
            bound="at_least",
        ),
        _stationary(COUPLED, "coupled", "l W = (1/N) (Y-P)^T H at the end, SGD with coupled decay l"),
        _stationary(DECOUPLED, "decoupled", "(1 - momentum) l W = (1/N) (Y-P)^T H, SGD with decoupled decay l"),
        Claim(
            name="law_risk_of_means",
            statement="the smallest risk_balanced / risk_of_means of all recordings of all runs, both splits",
            source=MEANS,
            predicted=lambda: 1.0,
            obtained=lambda: min(
                row["risk_balanced"] / row["risk_of_means"] for name in RUNS for row in trained_run(name).rows
            ),
            tolerance=1e-12,
            bound="at_least",
        ),
        Claim(
            name="law_risk_floor",
            statement="the smallest risk_balanced / risk_floor of all recordings of all runs, training and test split",
            source=FLOOR,
            predicted=lambda: 1.0,
            obtained=lambda: min(
                row["risk_balanced"] / row["risk_floor"] for name in RUNS for row in trained_run(name).rows
            ),
            tolerance=1e-12,
            bound="at_least",
        ),
    ]


def _row_sum(run: str, network: int, name: str, statement: str) -> Claim:
    def predicted() -> float:
        path = trained_run(run)
        start = path.row_sums[0, network].numpy()
        return float(np.abs(row_sum_law(path.configs[network], start, path.rates)).mean())

    return Claim(
        name=f"law_row_sum_{name}",
        statement=f"mean |W^T 1| over all steps and features under {statement}",
        source=ROW_SUMS,
        predicted=predicted,
        obtained=lambda: float(trained_run(run).row_sums[:, network].abs().mean()),
        tolerance=1e-9,
    )


def _stationary(network: int, name: str, statement: str) -> Claim:
    return Claim(
        name=f"law_stationarity_{name}",
        statement=f"relative residual of {statement}",
        source=STATIONARY,
        predicted=lambda: 0.0,
        obtained=lambda: float(trained_run("stationary").residuals[-1, network]),
        tolerance=1e-5,
        relative=False,
    )


def _moved_by_adam() -> float:
    first, last = trained_run("adam").row_sums[0], trained_run("adam").row_sums[-1]
    return float((last - first).norm() / first.norm())

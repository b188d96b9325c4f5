"""The columns that look at gradients: their norm, and how far the head is from a stationary point."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import network, table, tiny_dataset
from torch.nn import functional as F

from nc_bench import load_run
from nc_bench.config import Config
from nc_bench.models import Classifier
from nc_bench.recording import Recorder
from nc_bench.training import run_training
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.run import run_ensemble
from nc_bench.training.stationarity import not_stationary, stationarity_residuals

DATA = tiny_dataset()
FREE = {"features": None, "head": None}
PLAIN = {"name": "mlp", "widths": [8, 4]}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda settings: DATA)


def small(**sections: Any) -> Config:
    chosen: dict[str, Any] = {
        "model": PLAIN,
        "constraints": FREE,
        "dtype": "float64",
        "objective": {"weight_decay": 0.05},
        "training": {"epochs": 2, "batch_size": 10},
        "schedule": {"name": "constant"},
    }
    return network(**(chosen | sections))


def decayed_objective(ensemble: Ensemble, config: Config, batch: torch.Tensor) -> torch.Tensor:
    """What is minimised on a batch, by torch's own functions."""
    model: Classifier = ensemble.model
    features = model.backbone(ensemble.inputs[batch][None])
    loss = F.cross_entropy(model.outputs(features)[0], ensemble.labels[0, batch])
    penalty = sum(parameter.square().sum() for parameter in model.parameters())
    feature_penalty = len(ensemble.inputs) * features.square().sum(-1).mean()
    return loss + config.objective.weight_decay / 2 * penalty + config.objective.feature_decay / 2 * feature_penalty


def test_the_gradient_norm_is_that_of_the_last_batchs_objective_before_its_step() -> None:
    config = small(objective={"weight_decay": 0.05, "feature_decay": 0.01}, head={"bias": True})
    ensemble = Ensemble([config], DATA, torch.device("cpu"))
    assert math.isnan(ensemble.gradient_norms()[0])
    steps = ensemble.steps_of_epoch()
    for _ in range(ensemble.steps_per_epoch - 1):
        next(steps)
    last = ensemble._order(0)[0, 20:]
    gradients = torch.autograd.grad(decayed_objective(ensemble, config, last), list(ensemble.model.parameters()))
    expected = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
    next(steps)
    assert ensemble.gradient_norms() == [pytest.approx(expected, rel=1e-12)]


def test_frozen_parameters_have_no_part_in_it() -> None:
    config = small(head={"trainable": False, "bias": False}, training={"batch_size": None})
    ensemble = Ensemble([config], DATA, torch.device("cpu"))
    trainable = list(ensemble.model.backbone.parameters())
    loss = F.cross_entropy(ensemble.model(ensemble.inputs[None])[0], ensemble.labels[0])
    loss = loss + 0.025 * sum(parameter.square().sum() for parameter in trainable)
    expected = math.sqrt(sum(float(g.square().sum()) for g in torch.autograd.grad(loss, trainable)))
    for _ in ensemble.steps_of_epoch():
        pass
    assert ensemble.gradient_norms() == [pytest.approx(expected, rel=1e-12)]


def test_every_trial_has_its_own_columns(tmp_path: Path) -> None:
    configs = [small(seed=seed, objective={"weight_decay": 0.05 * seed}) for seed in (0, 1, 2)]
    run_ensemble(configs, [tmp_path / str(seed) for seed in (0, 1, 2)])
    for seed, config in enumerate(configs):
        run_training(config, tmp_path / f"alone{seed}")
        together, alone = load_run(tmp_path / str(seed)), load_run(tmp_path / f"alone{seed}")
        for name in ("gradient_norm", "stationarity_residual"):
            values = together.rows[name].tolist()
            assert values == pytest.approx(alone.rows[name].tolist(), rel=1e-9, nan_ok=True)
            assert math.isnan(values[1]), "the test split has no gradient"
    reasons = load_run(tmp_path / "0").reasons
    assert reasons[1, "train", "penultimate", "stationarity_residual"] == "no weight decay acts"


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("model", [PLAIN, {"name": "unconstrained", "widths": [4]}])
def test_the_residual_is_the_relative_gradient_of_the_head(model: Any, bias: bool, smoothing: float) -> None:
    objective = {"weight_decay": 0.05, "label_smoothing": smoothing}
    make = table if model["name"] == "unconstrained" else small
    config = make(model=model, head={"bias": bias}, objective=objective, constraints=FREE)
    ensemble = Ensemble([config], DATA, torch.device("cpu"))
    for _ in ensemble.steps_of_epoch():
        pass
    split = ensemble.train_split()
    recording = Recorder(ensemble.model, [config], 3).record(split)
    ((residual, reason),) = stationarity_residuals(ensemble, split, recording)
    weight = ensemble.model.head.weight
    logits = ensemble.model(ensemble.inputs[None])[0]
    loss = F.cross_entropy(logits, ensemble.labels[0], label_smoothing=smoothing) + 0.025 * weight.square().sum()
    (gradient,) = torch.autograd.grad(loss, weight)
    assert (
        residual == pytest.approx(float(gradient.norm() / (0.05 * weight.detach()).norm()), rel=1e-10) and reason == ""
    )


def test_the_residual_vanishes_at_a_stationary_point(tmp_path: Path) -> None:
    config = table(
        constraints=FREE,
        objective={"weight_decay": 0.05, "feature_decay": 0.01},
        training={"epochs": 400, "batch_size": None},
        record={"every": [1]},
    )
    run_training(config, tmp_path)
    residuals = load_run(tmp_path).rows["stationarity_residual"].tolist()
    assert residuals[0] > 0.05 and residuals[-1] < 1e-6


SGD = {"name": "sgd", "lr": 0.1}


def test_the_decay_that_acts() -> None:
    assert small(optimizer=SGD | {"momentum": 0.9}).acting_head_decay == 0.05
    decoupled = SGD | {"momentum": 0.9, "decoupled_decay": 0.2}
    assert small(objective={"weight_decay": 0.0}, optimizer=decoupled).acting_head_decay == pytest.approx(0.02)
    assert small(optimizer={"name": "adam", "lr": 0.1}).acting_head_decay == 0.05


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({}, ""),
        ({"optimizer": {"name": "adam", "lr": 0.1}}, ""),
        ({"constraints": {"features": {"radius": 1.0}, "head": None}}, ""),
        ({"objective": {"weight_decay": 0.05, "loss": "mse"}}, "the loss is not the plain cross entropy"),
        ({"objective": {"weight_decay": 0.05, "class_weights": [1, 2, 3]}}, "the loss is not the plain cross entropy"),
        ({"head": {"trainable": False}}, "the head is frozen"),
        ({"constraints": {"features": None, "head": {"radius": 1.0}}}, "the head or the outputs are bounded"),
        (
            {"constraints": {"features": None, "head": None, "outputs": {"radius": 1.0}}},
            "the head or the outputs are bounded",
        ),
        (
            {"objective": {"weight_decay": 0.0}, "optimizer": {"name": "adamw", "lr": 0.1, "decoupled_decay": 0.1}},
            "adamw does not come to rest where this gradient vanishes",
        ),
        ({"objective": {"weight_decay": 0.0}}, "no weight decay acts"),
        (
            {"model": PLAIN | {"batch_norm": True}},
            "with batch norm training sees other features than those that are measured",
        ),
    ],
)
def test_where_it_applies_and_why_not_elsewhere(sections: dict[str, Any], reason: str) -> None:
    assert not_stationary(small(**sections)) == reason

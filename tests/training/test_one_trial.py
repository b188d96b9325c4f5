"""Networks that are not stacked, as ensembles of one: torch's own loop, exact resume, noise of their own."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import measured, network, tiny_images
from torch import Tensor
from torch.nn import functional as F

from nc_bench import load_run
from nc_bench.config import Config, ConfigError
from nc_bench.config.data import Data
from nc_bench.data import Dataset
from nc_bench.models import build_classifier
from nc_bench.models.layers import with_trial_axis
from nc_bench.rng import Stream, generator
from nc_bench.training import run_training
from nc_bench.training.checkpoint import read_checkpoint
from nc_bench.training.ensemble import Ensemble

CPU = torch.device("cpu")
DATA = tiny_images()
COLOUR = tiny_images(shape=(3, 32, 32), train=12, test=3)
THIN = {"name": "resnet18", "width_multiplier": 1 / 16}
NOISY = {"name": "torchvision:mobilenet_v3_small"}
FREE = {"features": None, "head": None}
OPTIMIZERS: dict[str, tuple[dict[str, Any], type[torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (
        {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True},
        torch.optim.SGD,
        {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.02},
    ),
    "adam": ({"name": "adam", "lr": 0.01}, torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.02}),
}


def small(**sections: Any) -> Config:
    base: dict[str, Any] = {
        "dtype": "float64",
        "model": THIN,
        "head": {"bias": True},
        "schedule": {"name": "constant"},
        "training": {"epochs": 3, "batch_size": 10},
    }
    return network(**(base | sections))


def train(ensemble: Ensemble, epochs: int) -> Ensemble:
    for _ in range(epochs):
        for _ in ensemble.steps_of_epoch():
            pass
    return ensemble


def check_equal(mine: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert mine.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(mine[name], value), name


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_is_torchs_own_loop(name: str) -> None:
    """Forward pass, both penalties and update, against autograd and torch.optim on a copy of the network."""
    ours_optimizer, theirs_optimizer, numbers = OPTIMIZERS[name]
    objective = {"weight_decay": 0.02, "feature_decay": 0.003}
    ours = Ensemble([small(optimizer=ours_optimizer, objective=objective, constraints=FREE)], DATA, CPU)
    network, head = copy.deepcopy(ours.model.backbone.module), copy.deepcopy(ours.model.head)
    optimizer = theirs_optimizer([*network.parameters(), *head.parameters()], **numbers)
    train(ours, 3)
    network.train()
    for epoch in range(3):
        order = torch.randperm(24, generator=generator(0, Stream.DATA_ORDER, epoch))
        for batch in order.split(10):
            features = network(DATA.train_inputs[batch])
            logits = features @ head.weight[0].T + head.bias[0]
            loss = F.cross_entropy(logits, DATA.train_labels[batch])
            loss = loss + 0.003 / 2 * 24 * features.square().sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    mine = [*ours.model.backbone.module.state_dict().values(), *ours.model.head.state_dict().values()]
    for value, expected in zip(mine, [*network.state_dict().values(), *head.state_dict().values()], strict=True):
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("decay_biases", [True, False])
def test_the_penalty_and_its_gradient_see_the_same_parameters(decay_biases: bool) -> None:
    objective = {"weight_decay": 0.1, "decay_biases": decay_biases}
    optimizer = {"name": "sgd", "lr": 1e-3}
    decayed, free = (
        Ensemble([small(optimizer=optimizer, constraints=FREE, objective=its)], DATA, CPU) for its in (objective, {})
    )
    start = {name: p.detach().clone() for name, p in decayed.model.named_parameters()}
    acts = {
        name: p for name, p in start.items() if decay_biases or "conv" in name or p.ndim > 2 or "downsample.0" in name
    }
    assert len(acts) == (len(start) if decay_biases else 21)
    expected = 0.05 * sum(float(p.square().sum()) for p in acts.values())
    assert decayed.penalties(None) == pytest.approx([expected], rel=1e-12)
    for ensemble in (decayed, free):
        next(ensemble.steps_of_epoch())
    for (name, with_decay), without in zip(decayed.model.named_parameters(), free.model.parameters(), strict=True):
        moved = (without - with_decay).detach()
        wanted = 1e-4 * acts[name] if name in acts else torch.zeros_like(moved)
        torch.testing.assert_close(moved, wanted, rtol=1e-9, atol=1e-15)


def test_parameters_with_a_trial_axis_are_the_same_memory() -> None:
    model = build_classifier([small()], input_shape=(1, 8, 8), samples=24, classes=3)
    parameters = list(model.parameters())
    views = with_trial_axis(model, parameters)
    for parameter, view in zip(parameters, views, strict=True):
        assert view.shape[0] == 1 and view.numel() == parameter.numel()
        assert view.data_ptr() == parameter.data_ptr() and not view.requires_grad


def test_statistics_of_batch_norm_are_in_the_checkpoint_and_a_resumed_run_is_the_same(tmp_path: Path) -> None:
    whole, first = (Ensemble([small()], DATA, CPU) for _ in range(2))
    train(whole, 3)
    train(first, 1)
    next(first.steps_of_epoch())
    states = copy.deepcopy(first.states())
    statistics = [name for name in states[0]["model"] if name.endswith("running_var")]
    assert len(statistics) == 20 and not any(bool((states[0]["model"][name] == 1).all()) for name in statistics)
    second = Ensemble([small()], DATA, CPU)
    second.load(states)
    check_equal(train(second, 2).model.state_dict(), whole.model.state_dict())


@pytest.fixture
def images_are_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(data: Data) -> Dataset:
        return COLOUR if data.name == "mnist" else DATA

    monkeypatch.setattr("nc_bench.training.run.load_dataset", load)


def stop_at(step: int, config: Config, directory: Path) -> None:
    class Killed(BaseException):
        pass

    taken = Ensemble._step

    def acting(self: Ensemble, batch: Tensor, inputs: Tensor) -> None:
        if self.step_count == step:
            raise Killed
        taken(self, batch, inputs)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Ensemble, "_step", acting)
        run_training(config, directory)


@pytest.mark.usefixtures("images_are_data")
@pytest.mark.parametrize(
    "config",
    [
        small(dtype="float32", training={"epochs": 3, "batch_size": 10, "checkpoint_seconds": 0}),
        small(
            model=NOISY,
            dtype="float32",
            data={"name": "mnist"},
            training={"epochs": 2, "batch_size": 6, "checkpoint_seconds": 0},
        ),
    ],
    ids=["resnet18", "with dropout"],
)
def test_a_killed_run_ends_as_one_that_nobody_killed(tmp_path: Path, config: Config) -> None:
    run_training(config, tmp_path / "whole")
    torch.manual_seed(7)
    stop_at(3, config, tmp_path / "killed")
    torch.manual_seed(8)
    assert run_training(config, tmp_path / "killed", resume=True) == "complete"
    assert measured(tmp_path / "killed") == measured(tmp_path / "whole")
    models = [read_checkpoint(tmp_path / name / "checkpoint.pt").state["model"] for name in ("killed", "whole")]
    check_equal(*models)


@pytest.mark.usefixtures("images_are_data")
def test_the_run_of_a_residual_network(tmp_path: Path) -> None:
    config = small(record={"layers": "all"})
    assert run_training(config, tmp_path) == "complete"
    run = load_run(tmp_path)
    assert run.manifest["feature_width"] == 32
    stages = ["stem", "layer1", "layer2", "layer3", "layer4"]
    assert set(run.rows["layer"]) >= {"penultimate", *stages}
    last = run.rows[(run.rows["layer"] == "penultimate") & (run.rows["split"] == "train")].iloc[-1]
    assert last["feature_residual"] < 1e-12 and last["head_residual"] < 1e-12 and last["risk_gap"] > 0
    assert "risk" in set(run.predictions["name"])


def test_noise_is_a_function_of_seed_and_step() -> None:
    """Two steps from the same state draw alike; another seed or step draws otherwise."""
    config = small(model=NOISY, training={"batch_size": 12})
    ensemble = Ensemble([config], COLOUR, CPU)
    fresh = copy.deepcopy(ensemble.states())

    def features_of(step: int, seed: int = 0) -> Tensor:
        ensemble.load(fresh)
        ensemble.step_count, ensemble.configs = step, [config.model_copy(update={"seed": seed})]
        ensemble.model.train()
        with torch.no_grad(), ensemble._noise():
            return ensemble.model.backbone(ensemble.inputs[None])

    first = features_of(0)
    torch.manual_seed(123)
    assert torch.equal(first, features_of(0))
    assert not torch.equal(first, features_of(1)) and not torch.equal(first, features_of(0, seed=1))


def test_a_batch_of_one_cannot_be_normalized() -> None:
    for model, data in ((THIN, DATA), (NOISY, COLOUR)):
        size = len(data.train_inputs) - 1
        with pytest.raises(
            ConfigError, match=rf"^training\.batch_size: {size} leaves one of .* which batch norm cannot"
        ):
            Ensemble([small(model=model, training={"batch_size": size})], data, CPU)

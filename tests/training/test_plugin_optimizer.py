"""An optimizer of torch's kind as a plug-in: our steps, resumed bit for bit, refused where it cannot be used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from plugin_files import Written
from small_runs import kill, measured, network, run_until, tiny_dataset

from nc_bench.config import Config
from nc_bench.plugins import PluginError
from nc_bench.training import run_training
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.stationarity import not_stationary

FREE = {"features": None, "head": None}
SHORT = {"epochs": 2, "batch_size": 512, "checkpoint_seconds": 0}


def with_optimizer(**optimizer: Any) -> Config:
    # Without batch norm: Adam would magnify the rounding errors that are the gradients of the biases before it.
    return network(model={"name": "mlp", "widths": [16, 12]}, constraints=FREE, optimizer=optimizer, training=SHORT)


@pytest.mark.parametrize(
    ("own", "ours"),
    [
        (
            {"name": "import:torch.optim:SGD", "arguments": {"momentum": 0.9, "foreach": False}},
            {"name": "sgd", "momentum": 0.9},
        ),
        (
            {"name": "import:torch.optim:Adam", "arguments": {"betas": [0.8, 0.99]}},
            {"name": "adam", "betas": [0.8, 0.99]},
        ),
        ({"name": "import:torch.optim:AdamW", "decoupled_decay": 0.1}, {"name": "adamw", "decoupled_decay": 0.1}),
    ],
)
def test_torch_as_a_plug_in_takes_our_steps(own: dict[str, Any], ours: dict[str, Any]) -> None:
    shared = {"lr": 0.05, "clip_norm": 1.0, "backbone_lr_factor": 2.0}
    sides = []
    for optimizer in (own, ours):
        ensemble = Ensemble([with_optimizer(**optimizer, **shared)], tiny_dataset(train=600), torch.device("cpu"))
        for _ in range(2):
            list(ensemble.steps_of_epoch())
        sides.append(ensemble.model.state_dict())
    for name, tensor in sides[0].items():
        torch.testing.assert_close(tensor, sides[1][name], rtol=1e-5, atol=1e-6)


def test_a_matrix_comes_as_a_matrix_and_numbers_are_kept(plugin: Written, tmp_path: Path) -> None:
    path = plugin(
        """
        import torch

        class Own(torch.optim.Optimizer):
            def __init__(self, params, lr, power=1):
                super().__init__(params, {"lr": lr, "power": power, "seen": 0})

            @torch.no_grad()
            def step(self):
                for group in self.param_groups:
                    group["seen"] += 1
                    for p in group["params"]:
                        assert p.ndim in (1, 2), p.shape
                        state = self.state[p]
                        state["count"] = state.get("count", 0) + 1
                        state["sum"] = state.get("sum", torch.zeros_like(p)) + p.grad
                        p -= group["lr"] / (state["count"] + group["seen"]) ** group["power"] * state["sum"]
        """
    )
    config = with_optimizer(name=f"{path}:Own", lr=0.1, arguments={"power": 0.5})
    assert run_training(config, tmp_path / "whole") == "complete"
    assert run_until(4, kill, config, tmp_path / "killed") == "killed"
    assert run_training(config, tmp_path / "killed", resume=True) == "complete"
    assert measured(tmp_path / "killed") == measured(tmp_path / "whole")
    assert not_stationary(config) == f"it is not known where {path}:Own comes to rest"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("def step(self, closure): closure()", "TypeError: .*closure"),
        ("def step(self): raise RuntimeError('no steps today')", r"RuntimeError: no steps today \(own_\d+\.py, line"),
        (
            "def step(self): self.state[self.param_groups[0]['params'][0]]['all'] = [1]",
            "keeps 'all' as a list, which no checkpoint can hold",
        ),
    ],
)
def test_optimizers_that_cannot_be_used(plugin: Written, body: str, problem: str) -> None:
    text = f"import torch\nclass Own(torch.optim.SGD):\n    {body}\nclass Other: pass\n"
    path = plugin(text)
    with pytest.raises(PluginError, match=rf"^optimizer\.name: {re.escape(path)}:Own: {problem}"):
        Ensemble([with_optimizer(name=f"{path}:Own", lr=1)], tiny_dataset(train=600), torch.device("cpu"))
    with pytest.raises(PluginError, match=r"Other: should be a class derived from torch\.optim\.Optimizer"):
        Ensemble([with_optimizer(name=f"{path}:Other", lr=1)], tiny_dataset(train=600), torch.device("cpu"))


def test_decay_is_not_left_to_the_plug_in() -> None:
    with pytest.raises(ValueError, match=r"optimizer\.arguments\.weight_decay: set objective\.weight_decay"):
        with_optimizer(name="import:torch.optim:Adam", lr=1, arguments={"weight_decay": 0.1})

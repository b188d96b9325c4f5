"""Small problems that many tests train on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nc_bench.config import Config
from nc_bench.data import Dataset
from nc_bench.runs import RunDirectory
from nc_bench.training import run_training
from nc_bench.training.ensemble import Ensemble

Open = Callable[[Path], RunDirectory]
"""The fixtures `at` and `locked` in tests/runs: a run directory that is released when the test ends."""

NETWORK: dict[str, Any] = {
    "device": "cpu",
    "data": {"name": "digits"},
    "model": {"name": "mlp", "widths": [16, 12], "batch_norm": True, "final_activation": False},
    "head": {"bias": False},
    "constraints": {"features": {"radius": 5.0}, "head": {"radius": 1.0}},
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
    "schedule": {"name": "cosine"},
    "training": {"epochs": 3, "batch_size": 128, "checkpoint_seconds": 0},
}
"""A bounded network, as in configs/digits_ball.yaml but narrow."""

TABLE: dict[str, Any] = {
    "device": "cpu",
    "dtype": "float64",
    "data": {"name": "digits"},
    "model": {"name": "unconstrained", "widths": [12]},
    "head": {"bias": False},
    "constraints": {"features": {"radius": 5.0}, "head": {"radius": 1.0}},
    "optimizer": {"name": "sgd", "lr": 1.0, "backbone_lr_factor": 24.0},
    "training": {"epochs": 3, "batch_size": None, "checkpoint_seconds": 0},
}
"""Unconstrained features in the same bounds."""


def settings(base: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """The base with whole sections replaced; a section that is a dict keeps the base's other keys if `name` does."""
    merged = dict(base)
    for key, section in sections.items():
        old = base.get(key)
        if isinstance(old, dict) and isinstance(section, dict) and "name" not in section:
            section = {**old, **section}
        merged[key] = section
    return merged


def network(**sections: Any) -> Config:
    return Config.model_validate(settings(NETWORK, **sections))


def table(**sections: Any) -> Config:
    return Config.model_validate(settings(TABLE, **sections))


def tiny_dataset(*, classes: int = 3, train: int = 24, test: int = 9, width: int = 5) -> Dataset:
    """Gaussian clouds around Gaussian centres, classes in turn."""
    random = torch.Generator().manual_seed(5)
    centres = 2 * torch.randn(classes, width, generator=random, dtype=torch.float64)
    labels = torch.arange(train + test) % classes
    inputs = centres[labels] + torch.randn(train + test, width, generator=random, dtype=torch.float64)
    return Dataset(
        name="tiny",
        classes=classes,
        train_inputs=inputs[:train],
        train_labels=labels[:train],
        test_inputs=inputs[train:],
        test_labels=labels[train:],
    )


def tiny_images(*, classes: int = 3, train: int = 24, test: int = 9, shape: tuple[int, ...] = (1, 8, 8)) -> Dataset:
    """Noise around one picture for every class, classes in turn."""
    random = torch.Generator().manual_seed(6)
    pictures = torch.randn(classes, *shape, generator=random, dtype=torch.float64)
    labels = torch.arange(train + test) % classes
    inputs = pictures[labels] + torch.randn(train + test, *shape, generator=random, dtype=torch.float64)
    return Dataset(
        name="tiny images",
        classes=classes,
        train_inputs=inputs[:train],
        train_labels=labels[:train],
        test_inputs=inputs[train:],
        test_labels=labels[train:],
    )


def measured(directory: Path) -> list[str]:
    """The lines of a finished run's metrics.csv without the seconds, which are the last column."""
    header, *lines = (directory / "metrics.csv").read_text().splitlines()
    assert header.endswith(",seconds")
    return [line.rpartition(",")[0] for line in (header, *lines)]


class Killed(BaseException):
    """As abrupt for the run as a kill: nothing in the package catches it."""


def kill() -> None:
    raise Killed


def run_until(step: int, action: Callable[[], None], config: Config, directory: Path, *, resume: bool = False) -> str:
    """Run; in the middle of the step of this number, counted from zero, the action happens."""
    taken = Ensemble._step

    def acting(self: Ensemble, *batch: torch.Tensor) -> None:
        if self.step_count == step:
            action()
        taken(self, *batch)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Ensemble, "_step", acting)
        try:
            return run_training(config, directory, resume=resume)
        except Killed:
            return "killed"

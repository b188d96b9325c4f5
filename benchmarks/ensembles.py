"""What training trials together gains: one batched program against the same trials one by one, and the headline grid.

Command: python benchmarks/ensembles.py [--threads N] [--repeats N] [--epochs N] [--only TEXT] [--device NAME]
Prints ratios of two times per trial, taken in the same process by jobs that take turns, each the best of several
repeats, by the clock on the wall and by processor time (which other programs on the machine disturb less). Both sides
train through the package's one loop and record both splits at log-spaced epochs; nothing is written. The last lines
train whole run directories of the optimizer grid, writing included, in groups of several sizes, and say how long
3,888 such trials take one such process. Memory is asked for as in a sweep's workers. Takes about ten minutes on two
cores.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from loop import train_and_record
from timing import take_turns

from nc_bench.config import Config
from nc_bench.data import load_dataset
from nc_bench.sweeps.clusters import MEMORY
from nc_bench.training import run_ensemble
from nc_bench.training.device import deterministic, device_name, resolve_device
from nc_bench.training.ensemble import Ensemble

ALONE = 3
"""Trials that are trained one by one; the others would take as long."""

GRID = 3888
GRID_EPOCHS = 200


@dataclass(frozen=True, kw_only=True)
class Case:
    """Trials of one kind, and the least ratio that is asked for."""

    name: str
    trials: int
    target: float
    sections: dict[str, Any]


def mlp(trials: int, width: int, batch: int, target: float, *, batch_norm: bool) -> Case:
    normalized = "with" if batch_norm else "without"
    model = {"name": "mlp", "widths": [width] * 3, "batch_norm": batch_norm}
    return Case(
        name=f"{trials} MLPs of width {width}, batch {batch}, {normalized} batch norm",
        trials=trials,
        target=target,
        sections={
            "data": {"name": "digits"},
            "model": model,
            "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
            "objective": {"weight_decay": 5e-4},
            "training": {"batch_size": batch},
        },
    )


FREE_FEATURES = Case(
    name="64 tables of features, K = 10, d = 64, n = 10, float64",
    trials=64,
    target=6.0,
    sections={
        "data": {"name": "digits", "samples_per_class": 10},
        "dtype": "float64",
        "model": {"name": "unconstrained", "widths": [64]},
        "optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.9, "backbone_lr_factor": 100.0},
        "objective": {"weight_decay": 5e-3, "feature_decay": 5e-5},
        "training": {"batch_size": None},
    },
)

CASES = (
    mlp(16, 256, 128, 2.0, batch_norm=False),
    mlp(64, 64, 64, 8.0, batch_norm=False),
    mlp(64, 32, 32, 18.0, batch_norm=False),
    mlp(16, 256, 128, 1.5, batch_norm=True),
    mlp(64, 64, 64, 7.0, batch_norm=True),
    mlp(64, 32, 32, 15.0, batch_norm=True),
    FREE_FEATURES,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=GRID_EPOCHS)
    parser.add_argument("--only", default="", help="part of the name of the lines wanted")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    torch.set_num_threads(arguments.threads)
    print(f"{device_name(device)}, torch {torch.__version__}, {torch.get_num_threads()} threads, ", end="")
    print(f"best of {arguments.repeats} repeats, ", end="")
    print(f"{arguments.epochs} epochs recorded at log-spaced ones\n")
    print(f"{'One by one / together':<58}    wall  processor   target")
    for case in CASES:
        if arguments.only in case.name:
            compare(case, device, arguments.epochs, arguments.repeats)
    print(f"\n{'The optimizer grid, written to disk: minutes for 3,888 trials':<62}    wall  processor")
    for optimizer in ("sgd", "adam"):
        for size in (16, 32, 64):
            if arguments.only in optimizer:
                headline(optimizer, size, device, arguments.epochs)


def compare(case: Case, device: torch.device, epochs: int, repeats: int) -> None:
    """One line: seconds per trial alone over seconds per trial stacked."""
    configs = [configured(case.sections, device, seed, epochs) for seed in range(case.trials)]
    data = load_dataset(configs[0].data)

    def together(some: Sequence[Config]) -> None:
        with deterministic(device):
            train_and_record(Ensemble(some, data, device))

    def alone() -> None:
        for config in configs[:ALONE]:
            together([config])

    one, many = take_turns((alone, lambda: together(configs)), repeats)
    share = case.trials / ALONE
    wall, processor = share * one.wall / many.wall, share * one.processor / many.processor
    print(f"  {case.name:<56}{wall:8.2f}  {processor:9.2f}  {'>=':>4} {case.target:.1f}", flush=True)


def headline(optimizer: str, size: int, device: torch.device, epochs: int) -> None:
    """One line: a group of the grid from its configurations to finished run directories."""
    settings = {"sgd": {"name": "sgd", "lr": 0.05, "momentum": 0.9}, "adam": {"name": "adam", "lr": 1e-3}}[optimizer]
    sections = mlp(size, 64, 128, 0.0, batch_norm=True).sections | {"optimizer": settings}
    configs = [configured(sections, device, seed, epochs) for seed in range(size)]
    with tempfile.TemporaryDirectory() as folder:
        directories = [Path(folder) / str(config.seed) for config in configs]
        (taken,) = take_turns([lambda: run_ensemble(configs, directories)], repeats=1)
    minutes = [seconds * GRID / size / 60 for seconds in (taken.wall, taken.processor)]
    print(f"  {optimizer} in groups of {size:<48}{minutes[0]:8.1f}  {minutes[1]:9.1f}", flush=True)


def configured(sections: dict[str, Any], device: torch.device, seed: int, epochs: int) -> Config:
    training = sections["training"] | {"epochs": epochs}
    return Config.model_validate(
        sections | {"seed": seed, "device": str(device), "training": training, "record": {"every": "log"}}
    )


if __name__ == "__main__":
    if not os.environ.items() >= MEMORY.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | MEMORY)
    main()

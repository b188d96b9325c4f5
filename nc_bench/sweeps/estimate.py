"""How long the rest of a sweep will take: from groups that have finished, or from short runs of the first group."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from nc_bench.config import Config
from nc_bench.recording import recorded_epochs
from nc_bench.sweeps.folder import SweepFolder
from nc_bench.training import run_ensemble

FEW, MORE = 1, 5
"""Epochs of the short runs."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Seconds until the last trial has finished, and what that was measured on."""

    seconds: float
    basis: str


def estimate(
    folder: SweepFolder, trials: Mapping[str, Config], programs: Sequence[tuple[str, ...]], workers: int
) -> Estimate:
    """Time for these programs on this many workers.

    If groups of this sweep have finished: their seconds per trial and epoch, times what is left. Otherwise the first
    group is trained three times for a few epochs, and its time is extrapolated to all epochs and recordings of all
    groups as if they cost the same.
    """
    if not programs:
        return Estimate(seconds=0.0, basis="nothing is left to run")
    times = folder.times()
    if times:
        rate = sum(t["seconds"] for t in times) / sum(t["trials"] * t["epochs"] for t in times)
        left = sum(trials[trial].training.epochs for program in programs for trial in program)
        basis = f"{sum(t['trials'] for t in times)} trials that have finished"
        return Estimate(seconds=rate * left / workers, basis=basis)
    first = [trials[trial] for trial in programs[0]]
    share = sum(len(program) for program in programs) / len(first)
    rounds = max(share / workers, 1.0)
    basis = f"short runs of {len(first)} trials, alone on this machine"
    return Estimate(seconds=_extrapolated(first) * rounds, basis=basis)


def _extrapolated(configs: Sequence[Config]) -> float:
    """Seconds of a whole run of these trials: fixed costs, epochs and recordings, from three short runs."""
    plans = [(FEW, [FEW]), (MORE, [MORE]), (MORE, list(range(1, MORE + 1)))]
    _short(configs, FEW, [FEW])  # the first run of a process also pays for what torch sets up
    seconds = [_short(configs, epochs, recorded) for epochs, recorded in plans]
    parts = np.linalg.solve([[1.0, epochs, len(recorded)] for epochs, recorded in plans], seconds)
    epochs = configs[0].training.epochs
    whole = np.array([1.0, epochs, len(recorded_epochs(configs[0].record.every, epochs))])
    return float(np.maximum(parts, 0.0) @ whole)


def _short(configs: Sequence[Config], epochs: int, recorded: Sequence[int]) -> float:
    shortened = [
        config.model_copy(
            update={
                "training": config.training.model_copy(update={"epochs": epochs}),
                "record": config.record.model_copy(update={"every": tuple(recorded)}),
            }
        )
        for config in configs
    ]
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        run_ensemble(shortened, [Path(folder) / str(index) for index in range(len(configs))])
        return time.perf_counter() - start

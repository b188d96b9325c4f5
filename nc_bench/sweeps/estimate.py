"""How long the rest of a sweep will take: from groups that have finished, or from short runs of the first group."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from nc_bench.config import Config
from nc_bench.sweeps.folder import SweepFolder
from nc_bench.training import run_ensemble

MIN_DIFFERENCE = 1.0
"""Seconds by which two short runs have to differ, because their difference is extrapolated."""

RECORDINGS = 10
"""Recordings of the short run that shows what a recording costs."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Seconds until the last trial has finished, and what that was measured on."""

    seconds: float
    basis: str


def estimate(
    folder: SweepFolder,
    trials: Mapping[str, Config],
    programs: Sequence[tuple[str, ...]],
    *,
    workers: int,
    threads: int,
) -> Estimate:
    """Time for these programs on this many workers with this many threads each.

    If groups of this sweep have finished: their seconds per trial and epoch, times what is left. Otherwise the first
    group is trained several times for a few epochs, and its time is extrapolated to all epochs and recordings of all
    groups as if they cost the same.
    """
    if not programs:
        return Estimate(seconds=0.0, basis="nothing is left to run")
    times = folder.times()
    if times:
        rate = sum(t["seconds"] for t in times) / sum(t["trials"] * t["epochs"] for t in times)
        left = [sum(trials[trial].training.epochs for trial in program) for program in programs]
        basis = f"{sum(t['trials'] for t in times)} trials that have finished"
        return Estimate(seconds=rate * _most_loaded(left, workers), basis=basis)
    first = [trials[trial] for trial in programs[0]]
    rounds = _most_loaded([len(program) for program in programs], workers) / len(first)
    basis = f"short runs of {len(first)} trials, alone on this machine"
    with _threads(threads):
        return Estimate(seconds=_extrapolated(first) * rounds, basis=basis)


def _most_loaded(costs: Sequence[int], workers: int) -> int:
    """The costs on the busiest worker when each program goes to the worker that is free first."""
    loads = [0] * workers
    for cost in costs:
        heapq.heapreplace(loads, loads[0] + cost)
    return max(loads)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _extrapolated(configs: Sequence[Config]) -> float:
    """Seconds of a whole run of these trials: fixed costs, epochs and recordings, from short runs."""
    epochs, more = configs[0].training.epochs, 1
    once = longer = _short(configs, 1, [1])
    if once < MIN_DIFFERENCE:  # the first run of a process also pays for what torch sets up
        once = longer = _short(configs, 1, [1])
    while longer - once < MIN_DIFFERENCE and more < epochs:
        more = min(2 * more, epochs)
        longer = _short(configs, more, [more])
    recorded = range(max(1, more - RECORDINGS + 1), more + 1)
    often = _short(configs, more, recorded)
    recordings = len(configs[0].record.recorded_epochs(epochs))
    per_epoch = max(longer - once, 0.0) / max(more - 1, 1)
    per_recording = max(often - longer, 0.0) / max(len(recorded) - 1, 1)
    return once + (epochs - 1) * per_epoch + (recordings - 1) * per_recording


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

"""How long the rest of a sweep will take: from groups that have finished, or from a few seconds of the first group."""

from __future__ import annotations

import heapq
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import torch

from nc_bench.config import Config
from nc_bench.sweeps.folder import SweepFolder
from nc_bench.training import run_ensemble

MIN_DIFFERENCE = 1.0
"""Seconds by which two short runs have to differ, because their difference is extrapolated."""

EFFORT = 10.0
"""Seconds of short runs, after which they are ended: whoever asks for a dry run does not want to train."""

RECORDINGS = 10
"""Recordings of the short run that shows what a recording costs."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Seconds until the last trial has finished, None where that is not known; and what that was measured on."""

    seconds: float | None
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
    group is trained several times for a few epochs, for twice EFFORT at most, and its time is extrapolated to all
    epochs and recordings of all groups as if they cost the same. If EFFORT is not enough for one epoch, nothing is
    known.
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
        once = _within_effort(lambda: _first_epoch(first))
        if once is None:
            return Estimate(seconds=None, basis=f"{EFFORT:g} seconds are not enough for an epoch of the first trials")
        seconds = _within_effort(lambda: _extrapolated(first, once))
    if seconds is None:
        seconds, basis = first[0].training.epochs * once, f"one epoch of {len(first)} trials, its start included"
    return Estimate(seconds=seconds * rounds, basis=basis)


class _TooLong(BaseException):
    """Ends short runs wherever they are; no Exception, so that nothing on the way takes it for a failed trial."""


def _within_effort(measure: Callable[[], float]) -> float | None:
    """What is measured, or None if that takes longer than EFFORT, and where there is no such alarm (Windows)."""
    if not hasattr(signal, "setitimer"):
        return None

    def end(number: int, frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, end)
    try:
        signal.setitimer(signal.ITIMER_REAL, EFFORT)
        return measure()
    except _TooLong:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


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


def _first_epoch(configs: Sequence[Config]) -> float:
    """Seconds of a run of one epoch."""
    once = _short(configs, 1, [1])
    # The first run of a process also pays for what torch sets up.
    return _short(configs, 1, [1]) if once < MIN_DIFFERENCE else once


def _extrapolated(configs: Sequence[Config], once: float) -> float:
    """Seconds of a whole run of these trials, given those of one epoch: fixed costs, epochs and recordings."""
    epochs, more, longer = configs[0].training.epochs, 1, once
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
        statuses = run_ensemble(shortened, [Path(folder) / str(index) for index in range(len(configs))])
        if "interrupted" in statuses:  # by Ctrl-C, which training takes as a wish to end with a checkpoint
            raise KeyboardInterrupt
        return time.perf_counter() - start

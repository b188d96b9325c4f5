"""What a worker does: trains one group of trials, which write their own results, and says how each ended."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from distributed import Worker, get_worker

from nc_bench.config import Config
from nc_bench.training import run_ensemble
from nc_bench.training.device import out_of_memory

PROGRESS_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Task:
    """Trials that are trained as one program, where they write, and on what.

    topic: the Dask topic on which epochs done are announced, {"key": first trial, "epochs": sum over trials}.
    """

    trials: tuple[str, ...]
    configs: tuple[Config, ...]
    directories: tuple[Path, ...]
    threads: int | None
    gpus: int
    topic: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """How a task ended: an error, or nothing and the trials are finished."""

    seconds: float
    error: str | None


def work(task: Task) -> Report:
    """Train the trials of a task, or go on with them. Never raises: the error is part of the report."""
    start = time.perf_counter()
    worker = get_worker()
    if task.threads is not None:
        torch.set_num_threads(task.threads)
    configs = [_placed(config, worker, task.gpus) for config in task.configs]
    error = None
    try:
        run_ensemble(configs, task.directories, progress=_announcer(worker, task))
    except Exception as problem:
        trace = traceback.extract_tb(problem.__traceback__)[-1]
        place = f"({Path(trace.filename).name}, line {trace.lineno})"
        error = out_of_memory(problem) or f"{type(problem).__name__}: {problem} {place}"
    return Report(seconds=time.perf_counter() - start, error=error)


def _announcer(worker: Worker, task: Task) -> Callable[[int], None]:
    done, announced = 0, time.monotonic()

    def announce(epochs: int) -> None:
        nonlocal done, announced
        done += epochs
        if time.monotonic() - announced >= PROGRESS_SECONDS:
            worker.log_event(task.topic, {"key": task.trials[0], "epochs": done})
            announced = time.monotonic()

    return announce


def _placed(config: Config, worker: Worker, gpus: int) -> Config:
    """The configuration on this worker's own GPU, unless it names a device itself."""
    if gpus and config.device in ("auto", "cuda"):
        return config.model_copy(update={"device": f"cuda:{int(worker.name) % gpus}"})
    return config

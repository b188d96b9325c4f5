"""What a worker does: it trains one group of trials, which write their own results, and reports how that ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb, format_exception

import torch
from distributed import Worker, get_worker

from nc_bench.config import Config
from nc_bench.errors import UserError, out_of_memory
from nc_bench.plugins import search_in
from nc_bench.text import one_line
from nc_bench.training import run_ensemble

PROGRESS_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Task:
    """Trials that are trained as one program, where they write, and on what.

    working_directory: that of the sweep, in which plug-ins are looked for.
    topic: the Dask topic of the messages on progress, {"key": first trial, "epochs": done so far, summed over trials}.
    """

    trials: tuple[str, ...]
    configs: tuple[Config, ...]
    directories: tuple[Path, ...]
    threads: int | None
    gpus: int
    topic: str
    working_directory: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One line that says why a trial failed, and the traceback where that was neither the user nor the memory."""

    error: str
    traceback: str | None = None

    @classmethod
    def of(cls, error: Exception) -> Failure:
        if isinstance(error, UserError):
            return cls(error="; ".join(str(error).splitlines()))
        if line := out_of_memory(error):
            return cls(error=line)
        where = extract_tb(error.__traceback__)[-1:]
        place = "".join(f" ({Path(frame.filename).name}, line {frame.lineno})" for frame in where)
        line = f"{type(error).__name__}: {one_line(error)}{place}"
        return cls(error=line, traceback="".join(format_exception(error)))


@dataclass(frozen=True, kw_only=True)
class Report:
    """How a task ended: in a failure, or None and its trials are finished."""

    seconds: float
    failure: Failure | None


def work(task: Task) -> Report:
    """Train the trials of a task, or resume them. Errors are not raised: they are part of the report."""
    start = time.perf_counter()
    worker = get_worker()
    search_in(task.working_directory)
    if task.threads is not None:
        torch.set_num_threads(task.threads)
    configs = [_on_own_gpu(config, worker, task.gpus) for config in task.configs]
    failure = None
    try:
        run_ensemble(configs, task.directories, progress=_progress_sender(worker, task))
    except Exception as error:
        failure = Failure.of(error)
    return Report(seconds=time.perf_counter() - start, failure=failure)


def _progress_sender(worker: Worker, task: Task) -> Callable[[int], None]:
    done, sent = 0, time.monotonic()

    def send(epochs: int) -> None:
        nonlocal done, sent
        done += epochs
        if time.monotonic() - sent >= PROGRESS_SECONDS:
            worker.log_event(task.topic, {"key": task.trials[0], "epochs": done})
            sent = time.monotonic()

    return send


def _on_own_gpu(config: Config, worker: Worker, gpus: int) -> Config:
    """The configuration on this worker's own GPU, unless it names a device itself."""
    if gpus and config.device in ("auto", "cuda"):
        return config.model_copy(update={"device": f"cuda:{int(worker.name) % gpus}"})
    return config

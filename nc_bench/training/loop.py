"""The loop: steps, recordings at the epochs asked for, checkpoints; ended by the last epoch, a signal or divergence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nc_bench.recording import Recorder, Recording, recorded_epochs
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.rows import Row, rows_of_recording
from nc_bench.training.stopping import StopRequest


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What happens around training. Trials are named by their position in the ensemble.

    `rows` takes the new rows by trial; `recorded` the epoch, the trials that have rows and what was measured;
    `epoch_done` the epoch and the trials that finished it; `save` writes checkpoints of the trials given; `ended` takes
    a trial and its status when there is no more to come. `stops` tells the epoch with which a trial stops early, as far
    as its rows so far have it; inf for none. `measured` takes seconds that went into recording, as they pass.
    """

    rows: Callable[[dict[int, list[Row]]], None]
    recorded: Callable[[int, Sequence[int], Recording, Recording | None], None]
    epoch_done: Callable[[int, Sequence[int]], None]
    save: Callable[[Sequence[int]], None]
    ended: Callable[[int, str], None]
    stops: Callable[[int], float]
    measured: Callable[[float], None]


def train(
    ensemble: Ensemble, recorder: Recorder, seconds: Callable[[int], float], stop: StopRequest, hooks: Hooks
) -> list[str]:
    """Train to the end; each trial's "complete", "interrupted" or "diverged".

    A trial whose loss or training risk is not finite has diverged: it ends with its last finite epoch, and the
    others go on as if it were not there. So they do where a trial stops early, which is recorded, saved and complete.
    `seconds` tells a trial's clock.
    """
    training, processes = ensemble.configs[0].training, ensemble.processes
    wanted = recorded_epochs(ensemble.configs[0].record.every, training.epochs)
    statuses: dict[int, str] = {}
    alive = list(range(len(ensemble.configs)))

    def end(trials: Sequence[int], status: str) -> None:
        for trial in trials:
            statuses[trial] = status
            hooks.ended(trial, status)
        alive[:] = [trial for trial in alive if trial not in statuses]

    if ensemble.step_count == 0 and 0 in wanted:
        _record(ensemble, recorder, alive, seconds, hooks)
        stopped = [trial for trial in alive if hooks.stops(trial) <= 0]
        if stopped or training.epochs == 0:
            hooks.save(alive)
        end(stopped, "complete")
    saved = time.monotonic()
    while ensemble.step_count < ensemble.total_steps and alive:
        for _ in ensemble.steps_of_epoch():
            if processes.any(bool(stop)):
                break
        epoch, within = divmod(ensemble.step_count, ensemble.steps_per_epoch)
        if within:
            hooks.save(alive)
            break
        finite = ensemble.finite()
        end([trial for trial in alive if not finite[trial]], "diverged")
        due = [trial for trial in alive if epoch in wanted or hooks.stops(trial) <= epoch]
        if due:
            end(_record(ensemble, recorder, due, seconds, hooks), "diverged")
        hooks.epoch_done(epoch, alive)
        stopped = [trial for trial in alive if hooks.stops(trial) <= epoch]
        interrupted = processes.any(bool(stop))
        overdue = processes.any(time.monotonic() - saved >= training.checkpoint_seconds)
        if interrupted or stopped or overdue or epoch == training.epochs:
            hooks.save(alive)
            saved = time.monotonic()
        end(stopped, "complete")
        if interrupted:
            break
    end(list(alive), "complete" if ensemble.step_count == ensemble.total_steps else "interrupted")
    return [statuses[trial] for trial in sorted(statuses)]


def _record(
    ensemble: Ensemble,
    recorder: Recorder,
    trials: Sequence[int],
    seconds: Callable[[int], float],
    hooks: Hooks,
) -> list[int]:
    """Measure both splits and hand on these trials' rows; returns those without rows: their risk is not finite."""
    began = time.perf_counter()
    train, split = recorder.record(ensemble.train_split()), ensemble.test_split()
    test = None if split is None else recorder.record(split, centres=train.centres)
    finite = [trial for trial in trials if math.isfinite(train.metrics[trial]["risk"])]
    rows = rows_of_recording(ensemble, train, test, {trial: seconds(trial) for trial in finite})
    hooks.measured((now := time.perf_counter()) - began)
    if rows:
        hooks.rows(rows)
        hooks.recorded(ensemble.step_count // ensemble.steps_per_epoch, finite, train, test)
    hooks.measured(time.perf_counter() - now)
    return [trial for trial in trials if trial not in rows]

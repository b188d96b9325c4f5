"""The loop: steps, recordings at the epochs asked for, checkpoints; ended by the last epoch, a signal or divergence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nc_bench.recording import Recorder, Recording, recorded_epochs
from nc_bench.runs.directory import PENULTIMATE
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.stopping import StopRequest

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What happens around training. Trials are named by their position in the ensemble.

    `rows` takes the new rows by trial; `epoch_done` the epoch and the trials that finished it; `save` writes
    checkpoints of the trials given; `ended` takes a trial and its status when there is no more to come.
    """

    rows: Callable[[dict[int, list[Row]]], None]
    recorded: Callable[[int, Recording, Recording | None], None]
    epoch_done: Callable[[int, Sequence[int]], None]
    save: Callable[[Sequence[int]], None]
    ended: Callable[[int, str], None]


def train(
    ensemble: Ensemble, recorder: Recorder, seconds: Callable[[int], float], stop: StopRequest, hooks: Hooks
) -> list[str]:
    """Train to the end; each trial's "complete", "interrupted" or "diverged".

    A trial whose loss or training risk is not finite has diverged: it ends with its last finite epoch, and the
    others go on as if it were not there. `seconds` tells a trial's clock.
    """
    training = ensemble.configs[0].training
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
    saved = time.monotonic()
    while ensemble.step_count < ensemble.total_steps and alive:
        for _ in ensemble.steps_of_epoch():
            if stop:
                break
        epoch, within = divmod(ensemble.step_count, ensemble.steps_per_epoch)
        if within:
            hooks.save(alive)
            break
        finite = ensemble.finite()
        end([trial for trial in alive if not finite[trial]], "diverged")
        if epoch in wanted and alive:
            end(_record(ensemble, recorder, alive, seconds, hooks), "diverged")
        hooks.epoch_done(epoch, alive)
        if stop or time.monotonic() - saved >= training.checkpoint_seconds or epoch == training.epochs:
            hooks.save(alive)
            saved = time.monotonic()
        if stop:
            break
    end(list(alive), "complete" if ensemble.step_count == ensemble.total_steps else "interrupted")
    return [statuses[trial] for trial in sorted(statuses)]


def _record(
    ensemble: Ensemble,
    recorder: Recorder,
    alive: Sequence[int],
    seconds: Callable[[int], float],
    hooks: Hooks,
) -> list[int]:
    """Measure both splits and hand on the rows; the trials without rows, because their training risk is not finite."""
    train = recorder.record(ensemble.train_split())
    split = ensemble.test_split()
    test = None if split is None else recorder.record(split, centres=train.centres)
    losses = ensemble.mean_losses([metrics["risk"] for metrics in train.metrics], train.features)
    penalties = ensemble.penalties(train.features)
    scale = ensemble.learning_rate_factor()
    rows: dict[int, list[Row]] = {}
    for trial in alive:
        if not math.isfinite(train.metrics[trial]["risk"]):
            continue
        now, rate = seconds(trial), ensemble.configs[trial].optimizer.lr * scale
        objective = losses[trial] + penalties[trial]
        rows[trial] = _rows(ensemble, "train", train, trial, now, objective=objective, learning_rate=rate)
        if test is not None:
            rows[trial] += _rows(ensemble, "test", test, trial, now, objective=None, learning_rate=rate)
    if rows:
        hooks.rows(rows)
        hooks.recorded(ensemble.step_count // ensemble.steps_per_epoch, train, test)
    return [trial for trial in alive if trial not in rows]


def _rows(
    ensemble: Ensemble, split: str, recording: Recording, trial: int, seconds: float, **columns: float | None
) -> list[Row]:
    """A row per layer, the penultimate first; only this one has columns besides the metrics of the features."""
    own = {**columns, **{name: values[trial] for name, values in recording.residuals.items()}}
    return [
        {
            "epoch": ensemble.step_count // ensemble.steps_per_epoch,
            "step": ensemble.step_count,
            "split": split,
            "layer": name,
            **layer.metrics[trial],
            **(own if name == PENULTIMATE else {}),
            "seconds": seconds,
            "reasons": layer.metrics[trial].reasons,
        }
        for name, layer in recording.layers.items()
    ]

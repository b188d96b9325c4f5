"""The loop: steps, recordings at the epochs asked for, checkpoints; ended by the last epoch, a signal or divergence."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nc_bench.recording import Recorder, Recording, recorded_epochs
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.stopping import StopRequest

Row = dict[str, Any]


@dataclass(kw_only=True)
class Clock:
    """Seconds of training and recording, also over interruptions."""

    before: float = 0.0
    start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        return self.before + time.perf_counter() - self.start


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What happens around training: rows of every trial go to `rows`, `save` writes a checkpoint."""

    rows: Callable[[list[list[Row]]], None]
    recorded: Callable[[int, Recording, Recording | None], None]
    epoch_done: Callable[[int], None]
    save: Callable[[], None]


def train(ensemble: Ensemble, clock: Clock, stop: StopRequest, hooks: Hooks) -> str:
    """Train to the end; returns "complete", "interrupted" or "diverged"."""
    training = ensemble.configs[0].training
    wanted = recorded_epochs(ensemble.configs[0].record.every, training.epochs)
    recorder = Recorder(ensemble.model, ensemble.configs, ensemble.classes)
    if ensemble.step_count == 0 and 0 in wanted:
        _record(ensemble, recorder, clock, hooks)
    saved = time.monotonic()
    while ensemble.step_count < ensemble.total_steps:
        for _ in ensemble.steps_of_epoch():
            if stop:
                break
        epoch, within = divmod(ensemble.step_count, ensemble.steps_per_epoch)
        if within:
            hooks.save()
            return "interrupted"
        if not all(ensemble.finite()) or (epoch in wanted and not _record(ensemble, recorder, clock, hooks)):
            return "diverged"
        hooks.epoch_done(epoch)
        if stop or time.monotonic() - saved >= training.checkpoint_seconds or epoch == training.epochs:
            hooks.save()
            saved = time.monotonic()
        if stop and epoch < training.epochs:
            return "interrupted"
    return "complete"


def _record(ensemble: Ensemble, recorder: Recorder, clock: Clock, hooks: Hooks) -> bool:
    """Measure both splits and hand on the rows; False, and no rows, if a training risk is not finite."""
    train = recorder.record(ensemble.train_split())
    split = ensemble.test_split()
    test = None if split is None else recorder.record(split, centres=train.class_means)
    if any(metrics["risk"] - metrics["risk"] != 0 for metrics in train.metrics):
        return False
    losses = ensemble.mean_losses([metrics["risk"] for metrics in train.metrics], train.features)
    penalties = ensemble.penalties(train.features)
    scale = ensemble.learning_rate_factor()
    rows: list[list[Row]] = []
    for trial, config in enumerate(ensemble.configs):
        objective = losses[trial] + penalties[trial]
        rate = config.optimizer.lr * scale
        rows.append([_row(ensemble, "train", train, trial, clock, objective=objective, learning_rate=rate)])
        if test is not None:
            rows[-1].append(_row(ensemble, "test", test, trial, clock, objective=None, learning_rate=rate))
    hooks.rows(rows)
    hooks.recorded(ensemble.step_count // ensemble.steps_per_epoch, train, test)
    return True


def _row(
    ensemble: Ensemble, split: str, recording: Recording, trial: int, clock: Clock, **columns: float | None
) -> Row:
    metrics = recording.metrics[trial]
    return {
        "epoch": ensemble.step_count // ensemble.steps_per_epoch,
        "step": ensemble.step_count,
        "split": split,
        "layer": "penultimate",
        **metrics,
        **columns,
        **{name: values[trial] for name, values in recording.residuals.items()},
        "seconds": clock.seconds,
        "reasons": metrics.reasons,
    }

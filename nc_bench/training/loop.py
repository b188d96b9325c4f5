"""The loop: steps, recordings, checkpoints; ended by the last epoch, an early stop, a signal or divergence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nc_bench.recording import Recorder, Recording
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.rows import Row, rows_of_recording
from nc_bench.training.stopping import Interrupt


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What happens around training. Trials are named by their position in the ensemble.

    `rows` takes the new rows by trial; `recorded` the epoch, the trials that have rows and what was measured;
    `epoch_done` the epoch and the trials that finished it; `save` writes checkpoints of the trials given; `ended` takes
    a trial and its status when there is no more to come. `stops` gives the epoch at which a trial stops early by the
    rows recorded so far, inf if it does not; `last_recorded` its last recorded epoch, if any. `measured` takes the
    seconds that a recording took.
    """

    rows: Callable[[dict[int, list[Row]]], None]
    recorded: Callable[[int, Sequence[int], Recording, Recording | None], None]
    epoch_done: Callable[[int, Sequence[int]], None]
    save: Callable[[Sequence[int]], None]
    ended: Callable[[int, str], None]
    stops: Callable[[int], float]
    last_recorded: Callable[[int], int | None]
    measured: Callable[[float], None]


def train(
    ensemble: Ensemble, recorder: Recorder, seconds: Callable[[int], float], interrupt: Interrupt, hooks: Hooks
) -> list[str]:
    """Train to the end; each trial's "complete", "interrupted" or "diverged".

    A trial whose loss or training risk is not finite has diverged: it ends with its last finite epoch, and the
    others go on as if it were not there. So they do where a trial stops early, which is recorded, saved and complete.
    `seconds` gives the seconds of a trial so far.
    """
    return _Loop(ensemble, recorder, seconds, interrupt, hooks).run()


class _Loop:
    """The trials that are still alive, and how the others ended."""

    def __init__(
        self,
        ensemble: Ensemble,
        recorder: Recorder,
        seconds: Callable[[int], float],
        interrupt: Interrupt,
        hooks: Hooks,
    ) -> None:
        self.ensemble, self.recorder, self.seconds = ensemble, recorder, seconds
        self.interrupt, self.hooks = interrupt, hooks
        self.training, self.processes = ensemble.configs[0].training, ensemble.processes
        self.wanted = ensemble.configs[0].record.recorded_epochs(self.training.epochs)
        self.alive = list(range(len(ensemble.configs)))
        self.statuses: dict[int, str] = {}

    def run(self) -> list[str]:
        ensemble = self.ensemble
        if ensemble.step_count == 0 and 0 in self.wanted:
            self._begin()
        elif ensemble.step_count % ensemble.steps_per_epoch == 0:
            self._resume()
        self.saved = time.monotonic()
        while ensemble.step_count < ensemble.total_steps and self.alive and self._take_steps():
            if self._finish_epoch():
                break
        self._end(self.alive, "complete" if ensemble.step_count == ensemble.total_steps else "interrupted")
        return [self.statuses[trial] for trial in sorted(self.statuses)]

    def _begin(self) -> None:
        """Record before the first step; save and end the trials for which that is all."""
        _record(self.ensemble, self.recorder, self.alive, self.seconds, self.hooks)
        stopped = self._stopped(0)
        if stopped or self.training.epochs == 0:
            self.hooks.save(self.alive)
        self._end(stopped, "complete")

    def _resume(self) -> None:
        """Do what is left to do at this epoch: an earlier process may have been killed before it did.

        Its last checkpoint may be one with which a trial ended; or this epoch has become the last one, or that of a
        stop, because fewer epochs or another rule are asked for now.
        """
        epoch = self.ensemble.step_count // self.ensemble.steps_per_epoch
        stopped = self._stopped(epoch)
        ended = self.alive if epoch == self.training.epochs else stopped
        due = [trial for trial in ended if self.hooks.last_recorded(trial) != epoch]
        if due:
            self._end(_record(self.ensemble, self.recorder, due, self.seconds, self.hooks), "diverged")
            self.hooks.save(due)
        self._end(self._stopped(epoch), "complete")

    def _take_steps(self) -> bool:
        """The steps of an epoch; false if a signal came between them; the state is then saved."""
        for _ in self.ensemble.steps_of_epoch():
            if self.processes.any(bool(self.interrupt)):
                break
        if self.ensemble.step_count % self.ensemble.steps_per_epoch == 0:
            return True
        self.hooks.save(self.alive)
        return False

    def _finish_epoch(self) -> bool:
        """Record and save what is due, and end trials that diverged or stopped; true if a signal came."""
        epoch, finite = self.ensemble.step_count // self.ensemble.steps_per_epoch, self.ensemble.finite()
        self._end([trial for trial in self.alive if not finite[trial]], "diverged")
        due = self.alive if epoch in self.wanted else self._stopped(epoch)
        if due:
            self._end(_record(self.ensemble, self.recorder, due, self.seconds, self.hooks), "diverged")
        self.hooks.epoch_done(epoch, self.alive)
        stopped = self._stopped(epoch)
        interrupted = self.processes.any(bool(self.interrupt))
        overdue = self.processes.any(time.monotonic() - self.saved >= self.training.checkpoint_seconds)
        if interrupted or stopped or overdue or epoch == self.training.epochs:
            self.hooks.save(self.alive)
            self.saved = time.monotonic()
        self._end(stopped, "complete")
        return interrupted

    def _stopped(self, epoch: int) -> list[int]:
        return [trial for trial in self.alive if self.hooks.stops(trial) <= epoch]

    def _end(self, trials: Sequence[int], status: str) -> None:
        for trial in trials:
            self.statuses[trial] = status
            self.hooks.ended(trial, status)
        self.alive = [trial for trial in self.alive if trial not in self.statuses]


def _record(
    ensemble: Ensemble,
    recorder: Recorder,
    trials: Sequence[int],
    seconds: Callable[[int], float],
    hooks: Hooks,
) -> list[int]:
    """Measure both splits and hand on these trials' rows; returns those without rows: their risk is not finite."""
    began = time.perf_counter()
    epoch = ensemble.step_count // ensemble.steps_per_epoch
    is_last = epoch == ensemble.configs[0].training.epochs
    train, split = recorder.record(ensemble.train_split(), hulls=is_last), ensemble.test_split()
    test = None if split is None else recorder.record(split, centres=train.centres)
    finite = [trial for trial in trials if math.isfinite(train.penultimate.metrics[trial]["risk"])]
    rows = rows_of_recording(ensemble, train, test, {trial: seconds(trial) for trial in finite})
    hooks.measured((now := time.perf_counter()) - began)
    if rows:
        hooks.rows(rows)
        hooks.recorded(epoch, finite, train, test)
    hooks.measured(time.perf_counter() - now)
    return [trial for trial in trials if trial not in rows]

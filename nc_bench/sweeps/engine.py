"""Runs the unfinished trials of a grid on a cluster, although workers may die and trials may fail."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from distributed import Future, KilledWorker, as_completed
from distributed.comm.core import CommClosedError
from tqdm import tqdm

from nc_bench.config import Config
from nc_bench.errors import LostProcess
from nc_bench.sweeps.clusters import Workers
from nc_bench.sweeps.folder import FINISHED, State, SweepFolder
from nc_bench.sweeps.work import Failure, Report, Task, work
from nc_bench.telling import ProgressLines, Show
from nc_bench.text import first_line
from nc_bench.training.grouping import MAX_STACK, groups

BAR = "{desc}{percentage:3.0f}%|{bar}| {n:.1f}/{total:.0f} trials [{elapsed}<{remaining}{postfix}]"


def pending(grid_trials: Mapping[str, Config], states: Mapping[str, State]) -> dict[str, Config]:
    """The trials that are to be run: neither finished nor failed."""
    done = FINISHED | {State.FAILED}
    return {trial: config for trial, config in grid_trials.items() if states[trial] not in done}


def grouped(trials: Mapping[str, Config], workers: int, *, stacked: bool) -> list[tuple[str, ...]]:
    """Trials by the program that trains them: at most MAX_STACK in one, and enough programs for all workers."""
    names, configs = list(trials), list(trials.values())
    limit = max(1, min(MAX_STACK, -(-len(names) // workers))) if stacked else 1
    found = [tuple(names[index] for index in group) for group in groups(configs, limit)]
    return sorted(found, key=len, reverse=True)


def run_trials(
    trials: Mapping[str, Config],
    folder: SweepFolder,
    workers: Workers,
    *,
    stacked: bool = True,
    show: Show = "bar",
) -> None:
    """Run these trials, each in its own directory of the folder; a failure is recorded there and the rest goes on.

    A group that fails is halved until only the trials are left that fail alone; these are recorded. A group whose
    worker dies is given to another one and resumes from its checkpoints. A group during which more than
    MAX_WORKER_DEATHS workers died is tried again when nothing else runs, as another group may have been the cause, and
    is halved if workers die again.
    `show`: how progress is shown, a bar only where the standard error is a terminal.
    Raises LostProcess if the scheduler ends. Whatever ends this function, what was trained is kept.
    """
    if trials:
        _Engine(trials, folder, workers, show).run(grouped(trials, workers.number, stacked=stacked))


class _Engine:
    """The futures that have been submitted, the groups that are to be tried alone, and the progress that is shown."""

    def __init__(self, trials: Mapping[str, Config], folder: SweepFolder, workers: Workers, show: Show) -> None:
        self.trials, self.folder, self.workers = trials, folder, workers
        self.client = workers.client
        self.topic = f"nc_bench-{uuid.uuid4().hex}"
        self.tasks: dict[Future[Report], tuple[str, ...]] = {}
        self.progress: dict[str, float] = {}
        self.to_try_alone: list[tuple[str, ...]] = []
        self.failed, self.done = 0, 0.0
        self.bar = tqdm(total=len(trials), bar_format=BAR, disable=True if show == "nothing" else None)
        self.lines = ProgressLines(len(trials), "trials") if show == "lines" else None

    def run(self, groups: Sequence[tuple[str, ...]]) -> None:
        if self.lines is not None:
            self.lines.begin(f"{self.folder.path}: {len(self.trials):,} trials to be run, in {len(groups):,} programs")
        with self._progress_shown():
            queue = as_completed([self._submit(group) for group in groups], raise_errors=False)
            for future in queue:
                for group in self._finished(future):
                    queue.add(self._submit(group))
            while self.to_try_alone:
                self.to_try_alone += self._finished(self._submit(self.to_try_alone.pop()), alone=True)

    def _submit(self, group: tuple[str, ...]) -> Future[Report]:
        task = Task(
            trials=group,
            configs=tuple(self.trials[trial] for trial in group),
            directories=tuple(self.folder.directory(trial) for trial in group),
            threads=self.workers.threads,
            gpus=self.workers.gpus,
            topic=self.topic,
            working_directory=os.getcwd(),
        )
        future: Future[Report] = self.client.submit(work, task, pure=False)
        self.tasks[future] = group
        return future

    def _finished(self, future: Future[Report], *, alone: bool = False) -> list[tuple[str, ...]]:
        """Read the report of a future and release it; returns the groups that are to be submitted again."""
        group = self.tasks[future]
        failure, killed = self._outcome(future, group)
        del self.tasks[future]
        future.release()
        self._advance(group, None)
        again = tuple(trial for trial, state in self.folder.states(group).items() if state not in FINISHED)
        if failure is None or not again:
            return []
        if len(again) == 1 and (alone or not killed):
            self.folder.record_failure(again[0], failure.error, failure.traceback)
            self.failed += 1
            self.bar.set_postfix_str(f"{self.failed} failed")
            return []
        self._move(-len(again))
        if killed and not alone:
            self.to_try_alone.append(again)
            return []
        middle = len(again) // 2
        return [again[:middle], again[middle:]]

    def _outcome(self, future: Future[Report], group: tuple[str, ...]) -> tuple[Failure | None, bool]:
        """Wait for a future; its failure, and whether workers died of it."""
        try:
            report = future.result()
        except KilledWorker as error:
            return Failure(error=first_line(error)), True
        except (CancelledError, CommClosedError):
            raise LostProcess("the scheduler has ended; the same command continues the sweep") from None
        except Exception as error:
            return Failure.of(error), False
        if report.failure is None:
            epochs = self.trials[group[0]].training.epochs
            self.folder.log_time(trials=len(group), epochs=epochs, seconds=report.seconds)
        return report.failure, False

    def _advance(self, group: tuple[str, ...], epochs: int | None) -> None:
        """Move the bar to where a group is: after this many epochs, summed over its trials; None: at its end."""
        total = float(len(group))
        now = total if epochs is None else min(total, epochs / self.trials[group[0]].training.epochs)
        before = self.progress.get(group[0], 0.0)
        self.progress[group[0]] = 0.0 if epochs is None else max(now, before)
        self._move(max(now - before, 0.0))

    def _move(self, trials: float) -> None:
        """So many trials more are done, or fewer where some are to be trained again."""
        self.done += trials
        self.bar.update(trials)
        if self.lines is not None:
            self.lines.reach(self.done, f"{self.failed} failed" if self.failed else "")

    @contextmanager
    def _progress_shown(self) -> Iterator[None]:
        """Messages of the workers move the bar; futures that are not finished at the end are cancelled."""

        def on_message(event: tuple[float, Mapping[str, Any]]) -> None:
            _, message = event
            for group in list(self.tasks.values()):
                if group[0] == message["key"]:
                    self._advance(group, message["epochs"])

        self.client.subscribe_topic(self.topic, on_message)
        try:
            yield
        finally:
            self.bar.close()
            self.client.unsubscribe_topic(self.topic)
            self.client.cancel(list(self.tasks))

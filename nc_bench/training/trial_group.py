"""Trials at the same step, trained as one stack: the hooks of the loop write to the directory of each."""

from __future__ import annotations

from collections.abc import Sequence

from nc_bench.metrics import null_baseline
from nc_bench.recording import Recorder, Recording
from nc_bench.training.checkpoint import Checkpoint
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.loop import Hooks, train
from nc_bench.training.progress import Progress
from nc_bench.training.rows import Row
from nc_bench.training.stopping import Interrupt
from nc_bench.training.trained_model import warm_start
from nc_bench.training.trial import Trial


class TrialGroup:
    """Trials and the ensemble that trains them, in the same order. `pictures`: whether features are drawn."""

    def __init__(
        self, ensemble: Ensemble, recorder: Recorder, trials: Sequence[Trial], progress: Progress, *, pictures: bool
    ) -> None:
        self.ensemble, self.recorder, self.trials = ensemble, recorder, trials
        self.progress, self.pictures = progress, pictures
        self.unfinished = dict(enumerate(trials))
        self.null = null_baseline(ensemble.classes, ensemble.model.width)

    def run(self, checkpoints: Sequence[Checkpoint], interrupt: Interrupt) -> list[str]:
        """Start, or go on from these checkpoints, one for each trial; train; judge. The trials' statuses."""
        if checkpoints:
            self.ensemble.load([checkpoint.state for checkpoint in checkpoints])
        else:
            warm_start(self.ensemble)
        step = self.ensemble.step_count
        epochs_done = step // self.ensemble.steps_per_epoch
        for trial in self.trials:
            trial.begin(step, epochs_done, len(self.trials))
        self.progress.on_restored(epochs_done * len(self.trials))
        hooks = Hooks(
            rows=self._rows,
            recorded=self._recorded,
            epoch_done=self._epoch_done,
            save=self._save,
            ended=self._ended,
            stops=lambda index: self.trials[index].early_stop.epoch,
            last_recorded=lambda index: self.trials[index].recorded_epoch,
            measured=self._measured,
        )
        try:
            return train(self.ensemble, self.recorder, lambda index: self.trials[index].seconds, interrupt, hooks)
        except Exception:
            for trial in self.unfinished.values():
                trial.fail()
            raise

    def _rows(self, rows: dict[int, list[Row]]) -> None:
        for index, own in rows.items():
            self.trials[index].append(own)
        index, own = next(iter(rows.items()))
        trial = self.trials[index]
        self.progress.on_rows(list(rows.values()), trial.samples_per_second(own[0]["epoch"], trial.seconds))

    def _measured(self, seconds: float) -> None:
        for trial in self.trials:
            trial.count_recording(seconds)

    def _recorded(self, epoch: int, trials: Sequence[int], train: Recording, test: Recording | None) -> None:
        splits, step = (self.ensemble.train_split(), self.ensemble.test_split()), self.ensemble.step_count
        for index in trials:
            self.trials[index].keep_features(index, epoch, step, (train, test), splits, picture=self.pictures)

    def _epoch_done(self, epoch: int, alive: Sequence[int]) -> None:
        for index in alive:
            self.trials[index].epochs_done = epoch
        self.progress.on_advanced(len(alive))

    def _save(self, alive: Sequence[int]) -> None:
        states = self.ensemble.states()
        for index in alive:
            self.trials[index].save(states[index], self.ensemble.step_count)

    def _ended(self, index: int, status: str) -> None:
        self.unfinished.pop(index).finish(status, self.null)

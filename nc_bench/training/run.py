"""From configurations to finished run directories: one run, or many trials as one batched program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nc_bench.config import Config, ConfigError
from nc_bench.data import Dataset, load_dataset, what_differs
from nc_bench.distributed import SINGLE_PROCESS, Processes, process_group
from nc_bench.loggers import check_installed
from nc_bench.metrics import null_baseline
from nc_bench.recording import Recorder, recorded_stages
from nc_bench.recording.feature_files import check_features_can_be_kept
from nc_bench.recording.stages import Stage
from nc_bench.runs import RunDirectory, RunError
from nc_bench.runs.load import FINISHED
from nc_bench.runs.rows import Seal
from nc_bench.telling import Show, tell
from nc_bench.training.checkpoint import Checkpoint
from nc_bench.training.device import deterministic, resolve_device
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.grouping import check_stackable
from nc_bench.training.manifest import facts_of_trials
from nc_bench.training.progress import Progress, ignore, shown_progress
from nc_bench.training.stopping import EarlyStop, catch_signals
from nc_bench.training.trained_model import warm_start
from nc_bench.training.trial import Trial
from nc_bench.training.trial_group import TrialGroup


def run_training(config: Config, directory: Path, *, resume: bool = False, show: Show = "bar") -> str:
    """Train, record and judge one run in `directory`; returns its status.

    "complete" (also where a rule of `training.stop` ended it), "diverged" (the last finite epoch is kept),
    "interrupted" (by a signal; resumable). A complete or diverged run that is resumed is left as it is, unless it is
    given more epochs or another rule. Where torchrun started several processes, they train it together, and all get
    its status. `show`: how its progress is shown.

    Raises ConfigError, DataError or RunError, each one line, before anything is written, and OSError where the
    directory cannot be written.
    """
    with process_group() as processes:
        job = _Job(configs=[config], directories=[directory], processes=processes, resume=resume, pictures=True)
        shown: Show = show if processes.is_rank0 else "nothing"
        with shown_progress(config.training.epochs, directory, shown) as progress:
            (status,) = job.run(progress)
    return status


def run_ensemble(
    configs: Sequence[Config],
    directories: Sequence[Path],
    *,
    resume: bool = True,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """Train trials that differ only in numbers as one batched program, each in its own directory; their statuses.

    A trial is the run that `run_training` would make, without pictures of its features. One that diverges ends at
    its last finite epoch and changes nothing for the others. Complete and diverged trials are left as they are;
    trials that were interrupted at the same step go on as one stack. `progress` is called with the number of epochs
    newly trained, summed over trials.

    Raises as `run_training` does, and ConfigError for trials that cannot be stacked (see `groups`).
    """
    check_stackable(configs)
    job = _Job(configs=configs, directories=directories, processes=SINGLE_PROCESS, resume=resume, pictures=False)
    return job.run(Progress(on_advanced=progress or ignore))


@dataclass(frozen=True, kw_only=True)
class _Job:
    """Trials that can be stacked, and a directory for each."""

    configs: Sequence[Config]
    directories: Sequence[Path]
    processes: Processes
    resume: bool
    pictures: bool

    def run(self, progress: Progress) -> list[str]:
        """The trials' statuses."""
        if self.configs[0].model.is_foreign:
            raise ConfigError(
                f"model.name: {self.configs[0].model.name}: this run was recorded from a loop of its author's, which "
                "alone can train it"
            )
        device = self.processes.all_or_raise(lambda: resolve_device(self.configs[0].device, self.processes))
        with deterministic(device):
            dataset = self.processes.rank0_first(lambda: load_dataset(self.configs[0].data))
            for note in dataset.notes if self.processes.is_rank0 else ():
                tell(note)
            return self._run_on(device, dataset, progress)

    def _run_on(self, device: torch.device, dataset: Dataset, progress: Progress) -> list[str]:
        configs, processes, record = self.configs, self.processes, self.configs[0].record
        check_installed(record.log)
        # What contradicts the data is found here, before a directory is touched.
        ensemble = processes.all_or_raise(lambda: Ensemble(configs, dataset, device, processes))
        runs = [RunDirectory(directory) for directory in self.directories]
        if not processes.on_rank0(lambda: all(run.checkpoints() for run in runs)):
            processes.all_or_raise(lambda: warm_start(ensemble))
        stages = recorded_stages(ensemble.model, record, ensemble.inputs)
        recorder = _recorder(ensemble, stages)
        check_features_can_be_kept(recorder, record, ensemble.train_split(), ensemble.test_split())
        facts = facts_of_trials(ensemble, recorder, dataset, device)
        statuses, pending = [""] * len(configs), dict[int, Trial]()
        try:
            for index, (config, run) in enumerate(zip(configs, runs, strict=True)):
                statuses[index] = processes.on_rank0(partial(_lock, run, config, facts[index], self.resume))
                trial = Trial(config, run, facts[index], processes)
                if statuses[index]:
                    processes.on_rank0(partial(_make_whole, trial, ensemble))
                    progress.on_finished(statuses[index])
                else:
                    pending[index] = trial
            with catch_signals() as interrupt:
                for indices, checkpoints in _at_equal_steps(pending):
                    if len(indices) < len(configs):
                        ensemble = Ensemble([configs[index] for index in indices], dataset, device, processes)
                        recorder = _recorder(ensemble, stages)
                    trials = [pending[index] for index in indices]
                    group = TrialGroup(ensemble, recorder, trials, progress, pictures=self.pictures)
                    for index, status in zip(indices, group.run(checkpoints, interrupt), strict=True):
                        statuses[index] = status
        finally:
            for run in runs:
                run.release()
        return statuses


def _recorder(ensemble: Ensemble, stages: Sequence[Stage]) -> Recorder:
    return Recorder(ensemble.model, ensemble.configs, ensemble.classes, stages=stages, processes=ensemble.processes)


def _lock(run: RunDirectory, config: Config, facts: Mapping[str, Any], resume: bool) -> str:
    """Lock the directory; the status of the run that it holds if that is over, else "".

    RunError if that run is one on other data.
    """
    holds = run.lock(config, resume=resume)
    if run.damage is not None:
        tell(f"{run.damage}; made again from the configuration and the checkpoint")
    if run.held.get("data_digest", facts["data_digest"]) != facts["data_digest"]:
        differs = what_differs(run.held, dict(facts))
        raise RunError(f"{run.path}: the data are others than those of this run, {differs}; choose another --out")
    return str(run.held["status"]) if holds and _is_over(run, config) else ""


def _is_over(run: RunDirectory, config: Config) -> bool:
    status = run.held.get("status")
    if status not in FINISHED:
        return False
    if "rows" not in run.held:
        raise RunError(f"{run.path}: was made by an earlier version of nc_bench; choose another --out")
    try:
        run.go_back(Seal.of(run.held["rows"]))
    except RunError as error:
        tell(f"{error}; falling back to a checkpoint")
        return False
    end = min(config.training.epochs, EarlyStop(config.training.stop, run.rows()).epoch)
    return status == "diverged" or bool(run.held["epochs_done"] >= end)


def _make_whole(trial: Trial, ensemble: Ensemble) -> None:
    """Write again what a finished run has lost and can be made of its rows."""
    if lost := trial.run.lost():
        trial.make_again(lost, null_baseline(ensemble.classes, ensemble.model.width))


def _at_equal_steps(trials: dict[int, Trial]) -> list[tuple[list[int], list[Checkpoint]]]:
    """Indices of trials that go on from checkpoints at the same step, and these; no checkpoints where they start."""
    found: dict[int | None, list[tuple[int, Checkpoint | None]]] = {}
    for index, trial in trials.items():
        checkpoint = trial.restore()
        found.setdefault(None if checkpoint is None else checkpoint.meta["step"], []).append((index, checkpoint))
    return [
        ([index for index, _ in pairs], [checkpoint for _, checkpoint in pairs if checkpoint is not None])
        for pairs in found.values()
    ]

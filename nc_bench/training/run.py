"""From configurations to finished run directories: one run, or many trials as one batched program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from nc_bench.config import Config
from nc_bench.data import load_dataset
from nc_bench.distributed import SINGLE_PROCESS, Processes, process_group
from nc_bench.metrics import null_baseline
from nc_bench.recording import Recorder, Recording, recorded_stages
from nc_bench.recording.feature_files import check_features_can_be_kept
from nc_bench.recording.stages import Stage
from nc_bench.runs import RunDirectory
from nc_bench.training.checkpoint import Checkpoint
from nc_bench.training.device import deterministic, resolve_device
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.grouping import check_stackable
from nc_bench.training.loop import Hooks, train
from nc_bench.training.optimizers import muon_parameters
from nc_bench.training.provenance import provenance
from nc_bench.training.stopping import EarlyStop, Interrupt, catch_signals
from nc_bench.training.trained_model import warm_start
from nc_bench.training.trial import Row, Trial

DEPTH_NULLS = ("nc2_equiangular", "nc2_equinorm")
"""What random class means score, as the manifest states it for every layer."""

WIDEST_NULL = 4096
"""Beyond this width the Monte Carlo takes too much memory, and its value is below .013 for angles and norms."""


def run_training(config: Config, directory: Path, *, resume: bool = False) -> str:
    """Train, record and judge one run in `directory`; returns its status.

    "complete" (also where a rule of `training.stop` ended it), "diverged" (the last finite epoch is kept),
    "interrupted" (by a signal; resumable). A complete or diverged run that is resumed is left as it is, unless it is
    given more epochs or another rule. Where torchrun started several processes, they train it together, and all get
    its status. Raises ConfigError, DataError or RunError, each one line, before anything is
    written, and OSError where the directory cannot be written.
    """
    with process_group() as processes:
        silent = None if processes.is_rank0 else True
        with tqdm(total=config.training.epochs, unit="epoch", disable=silent, leave=False) as bar:
            watch = _Watch(
                over=partial(_say_over, directory) if processes.is_rank0 else _ignore,
                restored=bar.update,
                advanced=bar.update,
                rows=lambda rows, speed: _show(bar, rows[0][0], speed),
            )
            (status,) = _run([config], [directory], processes, resume=resume, watch=watch, planes=True)
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
    trials that were interrupted at different steps go on apart, those at the same step together. `progress` is
    called with the number of trial-epochs newly done. Raises as `run_training` does, and ConfigError for trials
    that cannot be stacked (see `groups`).
    """
    check_stackable(configs)
    watch = _Watch(over=_ignore, restored=_ignore, advanced=progress or _ignore, rows=_ignore)
    return _run(configs, directories, SINGLE_PROCESS, resume=resume, watch=watch, planes=False)


@dataclass(frozen=True, kw_only=True)
class _Watch:
    """Who is told the status of a trial that was over before, of epochs found done, of epochs newly done, and of the
    rows of each recording and the samples that are trained on per second."""

    over: Callable[[str], Any]
    restored: Callable[[int], Any]
    advanced: Callable[[int], Any]
    rows: Callable[[list[list[Row]], float | None], Any]


def _say_over(directory: Path, status: str) -> None:
    tqdm.write(f"{directory}: {status} already, so nothing is trained", file=sys.stderr)


def _ignore(*_: object) -> None:
    """For those who do not want to know."""


def _show(bar: tqdm[Any], row: Row, samples_per_second: float | None) -> None:
    bar.set_postfix(
        risk=f"{row['risk']:.4g}",
        floor=f"{row['risk_floor']:.4g}",
        simplex_efficiency=f"{row['simplex_efficiency']:.3f}",
        **({"samples/s": f"{samples_per_second:.0f}"} if samples_per_second else {}),
        refresh=False,
    )


def _run(
    configs: Sequence[Config],
    directories: Sequence[Path],
    processes: Processes,
    *,
    resume: bool,
    watch: _Watch,
    planes: bool,
) -> list[str]:
    device = processes.all_or_raise(lambda: resolve_device(configs[0].device, processes))
    with deterministic(device):
        return _run_on(device, configs, directories, processes, resume=resume, watch=watch, planes=planes)


def _run_on(
    device: torch.device,
    configs: Sequence[Config],
    directories: Sequence[Path],
    processes: Processes,
    *,
    resume: bool,
    watch: _Watch,
    planes: bool,
) -> list[str]:
    dataset = processes.rank0_first(lambda: load_dataset(configs[0].data))
    # What contradicts the data is found here, before a directory is touched.
    ensemble = processes.all_or_raise(lambda: Ensemble(configs, dataset, device, processes))
    runs = [RunDirectory(directory) for directory in directories]
    if not processes.on_rank0(lambda: all(run.checkpoints() for run in runs)):
        processes.all_or_raise(lambda: warm_start(ensemble))
    stages = recorded_stages(ensemble.model, configs[0].record, ensemble.inputs)
    recorder = _recorder(ensemble, stages)
    check_features_can_be_kept(recorder, configs[0].record, ensemble.train_split(), ensemble.test_split())
    facts, class_counts = _facts(ensemble, recorder, device), ensemble.class_counts
    statuses, pending = [""] * len(configs), dict[int, Trial]()
    try:
        for index, (config, run) in enumerate(zip(configs, runs, strict=True)):
            statuses[index] = processes.on_rank0(partial(_locked, run, config, resume))
            if statuses[index]:
                watch.over(statuses[index])
            else:
                its_facts = {"class_counts": class_counts[index], **facts}
                pending[index] = Trial(config, run, its_facts, processes)
        with catch_signals() as interrupt:
            for indices, checkpoints in _at_equal_steps(pending):
                if len(indices) < len(configs):
                    ensemble = Ensemble([configs[index] for index in indices], dataset, device, processes)
                    recorder = _recorder(ensemble, stages)
                group = TrialGroup(ensemble, recorder, [pending[index] for index in indices], watch, planes)
                for index, status in zip(indices, group.go(checkpoints, interrupt), strict=True):
                    statuses[index] = status
    finally:
        for run in runs:
            run.release()
    return statuses


def _recorder(ensemble: Ensemble, stages: Sequence[Stage]) -> Recorder:
    return Recorder(ensemble.model, ensemble.configs, ensemble.classes, stages=stages, processes=ensemble.processes)


def _locked(run: RunDirectory, config: Config, resume: bool) -> str:
    """Lock the directory; the status of the run that it holds if that is over, else ""."""
    if run.lock(config, resume=resume) and _is_over(run, config):
        return str(run.manifest()["status"])
    return ""


def _is_over(run: RunDirectory, config: Config) -> bool:
    manifest = run.manifest()
    if manifest.get("status") != "complete":
        return manifest.get("status") == "diverged"
    end = min(config.training.epochs, EarlyStop(config.training.stop, run.rows()).epoch)
    return bool(manifest["epochs_done"] >= end)


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


def _facts(ensemble: Ensemble, recorder: Recorder, device: torch.device) -> dict[str, Any]:
    """What the manifests of all trials say alike."""
    trials = len(ensemble.configs)
    return {
        **({"layers": _layers(recorder)} if recorder.stages else {}),
        "classes": ensemble.classes,
        "samples": {"train": ensemble.samples, "test": len(ensemble.test_labels)},
        "input_shape": list(ensemble.input_shape),
        "feature_width": ensemble.model.width,
        "parameters": sum(parameter.numel() for parameter in ensemble.model.parameters()) // trials,
        **({"muon_moves": moved} if (moved := muon_parameters(ensemble.model, ensemble.configs)) else {}),
        "processes": ensemble.processes.size,
        **provenance(device),
    }


def _layers(recorder: Recorder) -> dict[str, Any]:
    """Width of every recorded layer, and what random class means of this width score where that can be said."""
    found = {}
    for name, width in recorder.widths.items():
        null = null_baseline(recorder.classes, width) if width <= WIDEST_NULL else {}
        found[name] = {"width": width, "null": {key: null[key] for key in DEPTH_NULLS if key in null}}
    return found


class TrialGroup:
    """Trials at the same step and the ensemble that trains them as one stack."""

    def __init__(
        self, ensemble: Ensemble, recorder: Recorder, trials: Sequence[Trial], watch: _Watch, planes: bool
    ) -> None:
        self.ensemble, self.recorder, self.trials = ensemble, recorder, trials
        self.watch, self.planes = watch, planes
        self.null = null_baseline(ensemble.classes, ensemble.model.width)

    def go(self, checkpoints: Sequence[Checkpoint], interrupt: Interrupt) -> list[str]:
        """Start, or go on from these checkpoints, one for each trial; train; judge."""
        if checkpoints:
            self.ensemble.load([checkpoint.state for checkpoint in checkpoints])
        else:
            warm_start(self.ensemble)
        step = self.ensemble.step_count
        epochs_done = step // self.ensemble.steps_per_epoch
        for trial in self.trials:
            trial.begin(step, epochs_done, len(self.trials))
        self.watch.restored(epochs_done * len(self.trials))
        unfinished = dict(enumerate(self.trials))

        def finish(index: int, status: str) -> None:
            unfinished.pop(index).finish(status, self.null)

        hooks = Hooks(
            rows=self._rows,
            recorded=self._recorded,
            epoch_done=self._tick,
            save=self._save,
            ended=finish,
            stops=lambda index: self.trials[index].early_stop.epoch,
            measured=self._measured,
        )
        try:
            return train(self.ensemble, self.recorder, lambda index: self.trials[index].seconds, interrupt, hooks)
        except Exception:
            for trial in unfinished.values():
                trial.fail()
            raise

    def _rows(self, rows: dict[int, list[Row]]) -> None:
        for index, own in rows.items():
            self.trials[index].append(own)
        index, own = next(iter(rows.items()))
        trial = self.trials[index]
        self.watch.rows(list(rows.values()), trial.samples_per_second(own[0]["epoch"], trial.seconds))

    def _measured(self, seconds: float) -> None:
        for trial in self.trials:
            trial.recording_seconds += seconds

    def _recorded(self, epoch: int, trials: Sequence[int], train: Recording, test: Recording | None) -> None:
        splits = (self.ensemble.train_split(), self.ensemble.test_split())
        for index in trials:
            self.trials[index].keep_features(epoch, self.ensemble.step_count, index, (train, test), splits)
        if self.planes:
            self.trials[0].draw(epoch, train, test, splits)

    def _tick(self, epoch: int, alive: Sequence[int]) -> None:
        for index in alive:
            self.trials[index].epochs_done = epoch
        self.watch.advanced(len(alive))

    def _save(self, alive: Sequence[int]) -> None:
        states = self.ensemble.states()
        for index in alive:
            self.trials[index].save(states[index], self.ensemble.step_count)

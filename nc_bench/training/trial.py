"""One trial: its run directory, its clock, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from nc_bench.config import Config
from nc_bench.distributed import Processes
from nc_bench.runs import RunDirectory, RunError
from nc_bench.runs.directory import CONFIG
from nc_bench.runs.rows import Seal
from nc_bench.training.checkpoint import Checkpoint, encode, newest_checkpoint
from nc_bench.training.feature_folder import Recordings, Splits
from nc_bench.training.rows import Row
from nc_bench.training.run_writer import RunWriter
from nc_bench.training.stopping import EarlyStop


class Trial:
    """A locked run directory and what is written there.

    `facts` are the part of its manifest that does not change. Of several processes only rank 0 reads and writes the
    directory; what it reads, and its errors, all get.
    """

    def __init__(self, config: Config, run: RunDirectory, facts: Mapping[str, Any], processes: Processes) -> None:
        self.config, self.run, self.facts, self.processes = config, run, facts, processes
        self.writer = RunWriter(config, run, facts, config.record.log)
        self.pictured = frozenset(config.record.pictured_epochs(config.training.epochs))
        self.epochs_done, self.stacked = 0, 1
        self.early_stop = EarlyStop(None)
        self.recorded_epoch: int | None = None
        self.checkpoint_step: int | None = None

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of training and recording since the first start, those of stacked trials included."""
        return self.writer.seconds

    def count_recording(self, seconds: float) -> None:
        """So many seconds of these went into a recording."""
        self.writer.recording_seconds += seconds

    def samples_per_second(self, epochs: int, seconds: float) -> float | None:
        """Training samples of these epochs per second without recording; None before there are any."""
        training = seconds - self.writer.recording_seconds
        return self.facts["samples"]["train"] * epochs / training if epochs and training > 0 else None

    def restore(self) -> Checkpoint | None:
        """The checkpoint to go on from, None to start.

        RunError if more epochs have been trained than are asked for, or rows are damaged that no checkpoint is without.
        """
        found = self.processes.on_rank0(lambda: newest_checkpoint(self.run, self.facts))
        if found is not None:
            self._check_goes_on(found.meta)
            self.writer.start_clock(found.meta["seconds"])
            self.writer.recording_seconds = found.meta["recording_seconds"]
            self.checkpoint_step = found.meta["step"]
            self.writer.id, self.writer.started = found.meta["run"], found.meta["started"]
        return found

    def _check_goes_on(self, meta: Mapping[str, Any]) -> None:
        batch = self.config.training.batch_size or self.facts["samples"]["train"]
        steps = -(-self.facts["samples"]["train"] // batch) * self.config.training.epochs
        if meta["step"] > steps:
            raise RunError(
                f"{self.run.path}: {meta['epoch']} epochs ({meta['step']} steps) are trained already, and "
                f"training.epochs={self.config.training.epochs} asks for less; ask for more, or choose another --out"
            )

    def begin(self, step: int, epochs_done: int, stacked: int) -> None:
        """Go on at this step as one of so many stacked trials: rows that are newer are dropped."""
        self.writer.start_clock()
        self.epochs_done, self.stacked = epochs_done, stacked
        rows = self.processes.on_rank0(lambda: self._go_back(step))
        self.early_stop = EarlyStop(self.config.training.stop, rows)
        self.recorded_epoch = max((row["epoch"] for row in rows), default=None)
        self.processes.on_rank0(lambda: self.writer.begin(self._progress()))

    def _go_back(self, step: int) -> list[Row]:
        if step == 0:
            self.run.go_back(Seal())
        return self.run.rows()

    def save(self, state: dict[str, Any], step: int) -> None:
        """Write a checkpoint of this state, which was reached after this step."""
        meta = {
            "config_hash": self.facts["config_hash"],
            "data_digest": self.facts["data_digest"],
            "run": self.writer.id,
            "started": self.writer.started,
            "rows": self.run.seal.stated if self.processes.is_rank0 else None,
            "epoch": self.epochs_done,
            "step": step,
            "seconds": self.seconds,
            "recording_seconds": self.writer.recording_seconds,
        }
        self.processes.on_rank0(lambda: self.run.save_checkpoint(encode(Checkpoint(meta=meta, state=state))))
        self.checkpoint_step = step

    def append(self, rows: Sequence[Row]) -> None:
        """Write rows, and show them to the rules of early stopping."""
        # Rank 0's rows count for all: whether they stop early may depend on the last bit.
        for row in self.processes.on_rank0(partial(self.writer.append, rows)):
            self.early_stop.see(row)
            self.recorded_epoch = row["epoch"]

    def keep_features(
        self, index: int, epoch: int, step: int, recordings: Recordings, splits: Splits, *, picture: bool
    ) -> None:
        """Write what is kept of the features; `index` is this trial's position in the ensemble."""
        is_last = epoch >= min(self.config.training.epochs, self.early_stop.epoch)
        picture = picture and self.config.record.picture and (is_last or epoch in self.pictured)
        place: dict[str, Any] = {"trial": index, "epoch": epoch, "step": step, "is_last": is_last, "picture": picture}
        self.processes.on_rank0(partial(self.writer.keep, recordings, splits, **place))

    def finish(self, status: str, null: Mapping[str, float]) -> None:
        """Judge the rows that were written, against random directions `null` too, and close the manifest."""
        self.processes.on_rank0(lambda: self.writer.finish(status, null, self._progress()))

    def make_again(self, lost: Sequence[str], null: Mapping[str, float]) -> None:
        """Write the lost ones of config.yaml, metrics.csv and predictions.json of a finished run again.

        Of the manifest only their digests change.
        """
        files = {**self.run.held.get("files", {}), **self.writer.judge(null)}
        if CONFIG in lost:
            self.run.write_config(self.config)
            files |= self.writer.stated_files({})
        self.run.write_manifest({**self.run.held, "files": files})

    def fail(self) -> None:
        """Write that the run failed, without asking other processes, which may be gone."""
        if self.processes.is_rank0:
            self.writer.fail(self._progress())

    def _progress(self) -> dict[str, Any]:
        seconds = self.seconds
        return {
            "epochs_done": self.epochs_done,
            "epochs": self.config.training.epochs,
            "stopped_early": self.early_stop.reason if self.epochs_done >= self.early_stop.epoch else None,
            "seconds": seconds,
            "samples_per_second": self.samples_per_second(self.epochs_done, seconds),
            "trained_together": self.stacked,
            "checkpoint_step": self.checkpoint_step,
        }

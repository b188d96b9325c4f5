"""One trial: its run directory, its clock, and how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

from nc_bench.config import Config, dump_config
from nc_bench.distributed import Processes
from nc_bench.runs import RunDirectory, RunError
from nc_bench.runs.directory import CONFIG, OtherWriter
from nc_bench.runs.files import digest
from nc_bench.runs.rows import Seal
from nc_bench.telling import tell
from nc_bench.text import one_line
from nc_bench.training.checkpoint import Checkpoint, encode, newest_checkpoint
from nc_bench.training.feature_folder import Recordings, Splits, keep_classes, keep_features, keep_picture
from nc_bench.training.rows import Row
from nc_bench.training.stopping import EarlyStop
from nc_bench.verdicts.expectations import expectations
from nc_bench.verdicts.judging import judge_run


class Trial:
    """A locked run directory and what is written there.

    `facts` are the part of its manifest that does not change. Of several processes only rank 0 reads and writes the
    directory; what it reads, and its errors, all get.
    """

    def __init__(self, config: Config, run: RunDirectory, facts: Mapping[str, Any], processes: Processes) -> None:
        self.config, self.run, self.facts, self.processes = config, run, facts, processes
        self.expected = expectations(config, facts["class_counts"], facts["feature_width"])
        self.epochs_done, self.stacked = 0, 1
        self.early_stop = EarlyStop(None)
        self._seconds_before, self._start = 0.0, time.perf_counter()
        self.recording_seconds = 0.0
        self.recorded_epoch: int | None = None
        self.checkpoint_step: int | None = None
        self.id = run.held.get("run") or uuid4().hex
        self.started = run.held.get("started") or datetime.now(UTC).isoformat(timespec="seconds")
        self.files: dict[str, str] = {}

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of training and recording since the first start, those of stacked trials included."""
        return self._seconds_before + time.perf_counter() - self._start

    def samples_per_second(self, epochs: int, seconds: float) -> float | None:
        """Training samples of these epochs per second without recording; None before there are any."""
        training = seconds - self.recording_seconds
        return self.facts["samples"]["train"] * epochs / training if epochs and training > 0 else None

    def restore(self) -> Checkpoint | None:
        """The checkpoint to go on from, None to start.

        RunError if more epochs have been trained than are asked for, or rows are damaged that no checkpoint is without.
        """
        found = self.processes.on_rank0(lambda: newest_checkpoint(self.run, self.facts))
        if found is not None:
            self._check_goes_on(found.meta)
            self._seconds_before = found.meta["seconds"]
            self.recording_seconds = found.meta["recording_seconds"]
            self.checkpoint_step = found.meta["step"]
            self.id, self.started = found.meta["run"], found.meta["started"]
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
        self._start, self.epochs_done, self.stacked = time.perf_counter(), epochs_done, stacked
        rows = self.processes.on_rank0(lambda: self._go_back(step))
        self.early_stop = EarlyStop(self.config.training.stop, rows)
        self.recorded_epoch = max((row["epoch"] for row in rows), default=None)
        self.write_manifest("running")
        # Only now: whenever a kill comes, the rows that the manifest names are there.
        self.processes.on_rank0(self._cut)

    def _go_back(self, step: int) -> list[Row]:
        if step == 0:
            self.run.go_back(Seal())
        return self.run.rows()

    def _cut(self) -> None:
        self.run.write_config(self.config)
        self.run.cut()

    def save(self, state: dict[str, Any], step: int) -> None:
        """Write a checkpoint of this state, which was reached after this step."""
        meta = {
            "config_hash": self.facts["config_hash"],
            "data_digest": self.facts["data_digest"],
            "run": self.id,
            "started": self.started,
            "rows": self.run.seal.stated if self.processes.is_rank0 else None,
            "epoch": self.epochs_done,
            "step": step,
            "seconds": self.seconds,
            "recording_seconds": self.recording_seconds,
        }
        self.processes.on_rank0(lambda: self.run.save_checkpoint(encode(Checkpoint(meta=meta, state=state))))
        self.checkpoint_step = step

    def append(self, rows: Sequence[Row]) -> None:
        """Write rows, and show them to the rules of early stopping."""

        def write() -> Sequence[Row]:
            self.run.append(rows)
            return rows

        # Rank 0's rows count for all: whether they stop early may depend on the last bit.
        for row in self.processes.on_rank0(write):
            self.early_stop.see(row)
            self.recorded_epoch = row["epoch"]

    def keep_features(
        self, index: int, epoch: int, step: int, recordings: Recordings, splits: Splits, *, picture: bool
    ) -> None:
        """Write what is kept of the features; `index` is this trial's position in the ensemble."""
        place = {"trial": index, "epoch": epoch, "step": step}
        self.processes.on_rank0(partial(keep_features, self.run, self.config.record, recordings, splits, **place))
        is_last = epoch >= min(self.config.training.epochs, self.early_stop.epoch)
        if is_last:
            self.processes.on_rank0(partial(keep_classes, self.run, recordings, trial=index, epoch=epoch))
        if picture:
            draw = partial(keep_picture, self.run, self.expected, recordings, splits, epoch=epoch, is_last=is_last)
            self.processes.on_rank0(partial(self._draw, draw, epoch))

    def _draw(self, draw: Callable[[], None], epoch: int) -> None:
        """A picture that cannot be drawn is said in one line, and the run goes on."""
        try:
            draw()
        except OSError:
            raise
        except Exception as error:
            tell(f"{self.run.path}: no picture of the features of epoch {epoch} ({one_line(error)})")

    def finish(self, status: str, null: Mapping[str, float]) -> None:
        """Judge the rows that were written, against random directions `null` too, and close the manifest."""
        self.files = self.processes.on_rank0(partial(self._judge, null))
        self.write_manifest(status)

    def _judge(self, null: Mapping[str, float]) -> dict[str, str]:
        return judge_run(self.run, self.config, self.expected, null, self.facts)

    def make_again(self, lost: Sequence[str], null: Mapping[str, float]) -> None:
        """Write the lost ones of config.yaml, metrics.csv and predictions.json of a finished run again.

        Of the manifest only their digests change.
        """
        files = {**self.run.held.get("files", {}), **self._judge(null)}
        if CONFIG in lost:
            self.run.write_config(self.config)
            files |= self._files({})
        self.run.write_manifest({**self.run.held, "files": files})

    def write_manifest(self, status: str) -> None:
        self.processes.on_rank0(lambda: self.run.write_manifest(self._manifest(status)))

    def fail(self) -> None:
        """Write that the run failed, without asking other processes, which may be gone."""
        if self.processes.is_rank0:
            with suppress(OtherWriter):
                self.run.write_manifest(self._manifest("failed"))

    def _manifest(self, status: str) -> dict[str, Any]:
        seconds = self.seconds
        return {
            "status": status,
            "epochs_done": self.epochs_done,
            "epochs": self.config.training.epochs,
            "stopped_early": self.early_stop.reason if self.epochs_done >= self.early_stop.epoch else None,
            "seconds": seconds,
            "recording_seconds": self.recording_seconds,
            "samples_per_second": self.samples_per_second(self.epochs_done, seconds),
            "trained_together": self.stacked,
            "started": self.started,
            "run": self.id,
            "rows": self.run.seal.stated,
            "checkpoint_step": self.checkpoint_step,
            "files": self._files(self.files),
            **self.facts,
        }

    def _files(self, made: Mapping[str, str]) -> dict[str, str]:
        """SHA-256 of the files that the manifest vouches for: the configuration, and those made of the rows."""
        return {CONFIG: digest(dump_config(self.config).encode()), **made}

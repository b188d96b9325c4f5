"""One trial of an ensemble: its run directory, and what is read and written there."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tqdm import tqdm

from nc_bench.config import Config, config_hash
from nc_bench.distributed import Processes
from nc_bench.recording import Recording, Split
from nc_bench.recording.feature_files import SPLITS, write_features, write_plane
from nc_bench.rng import Stream
from nc_bench.runs import RunDirectory
from nc_bench.runs.directory import FEATURES
from nc_bench.training.checkpoint import Checkpoint, DamagedCheckpoint, encode, read_checkpoint
from nc_bench.training.stopping import EarlyStop
from nc_bench.verdicts.expectations import expectations
from nc_bench.verdicts.judging import judge_run

Row = dict[str, Any]


class Trial:
    """A locked directory and how far its trial has come.

    `facts` are what its manifest says of the data, the model and the process. Of several processes only the first
    reads and writes the directory; what it reads, and why it cannot write, all get.
    """

    def __init__(self, config: Config, run: RunDirectory, facts: Mapping[str, Any], processes: Processes) -> None:
        self.config, self.run, self.facts, self.processes = config, run, facts, processes
        self.expected = expectations(config, facts["class_counts"], facts["feature_width"])
        self.epochs_done, self.stacked = 0, 1
        self.early_stop = EarlyStop(None)
        self._seconds_before, self._start = 0.0, time.perf_counter()
        self.recording_seconds = 0.0

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of training and recording since the first start, those of stacked trials included."""
        return self._seconds_before + time.perf_counter() - self._start

    def samples_per_second(self, epochs: int, seconds: float) -> float | None:
        """Training samples of these epochs per second, of which recording took its part; None before there are any."""
        training = seconds - self.recording_seconds
        return self.facts["samples"]["train"] * epochs / training if epochs and training > 0 else None

    def restore(self) -> Checkpoint | None:
        """The newest checkpoint that is not damaged; damaged ones are named on the standard error. None without."""
        found = self.processes.on_rank0(self._newest)
        if found is not None:
            self._seconds_before = found.meta["seconds"]
            self.recording_seconds = found.meta["recording_seconds"]
        return found

    def _newest(self) -> Checkpoint | None:
        paths = self.run.checkpoints()
        for path in paths:
            try:
                return read_checkpoint(path)
            except DamagedCheckpoint as error:
                earlier = "the start" if path == paths[-1] else "the checkpoint before it"
                tqdm.write(f"{error}; falling back to {earlier}", file=sys.stderr)
        return None

    def begin(self, step: int, epochs_done: int, stacked: int) -> None:
        """Go on at this step as one of so many stacked trials: rows that are newer are dropped."""
        self._start, self.epochs_done, self.stacked = time.perf_counter(), epochs_done, stacked
        self.processes.on_rank0(lambda: self.run.cut(step if step else -1))
        self.early_stop = EarlyStop(self.config.training.stop, self.processes.on_rank0(self.run.rows))
        self.describe("running")

    def save(self, state: dict[str, Any], step: int) -> None:
        """Write a checkpoint of this state, which was reached after this step."""
        meta = {
            "config_hash": config_hash(self.config),
            "epoch": self.epochs_done,
            "step": step,
            "seconds": self.seconds,
            "recording_seconds": self.recording_seconds,
        }
        self.processes.on_rank0(lambda: self.run.save_checkpoint(encode(Checkpoint(meta=meta, state=state))))

    def append(self, rows: Sequence[Row]) -> None:
        # The first process's rows count for all: whether they stop early may hang on the last bit.
        for row in self.processes.on_rank0(lambda: self._append(rows)):
            self.early_stop.see(row)

    def _append(self, rows: Sequence[Row]) -> Sequence[Row]:
        self.run.append(rows)
        return rows

    def finish(self, status: str, null: Mapping[str, float]) -> None:
        """Judge the rows that were written, against random directions `null` too, and close the manifest."""
        self.processes.on_rank0(lambda: judge_run(self.run, self.config, self.expected, null))
        self.describe(status)

    def keep_features(
        self,
        epoch: int,
        step: int,
        index: int,
        recordings: tuple[Recording, Recording | None],
        splits: tuple[Split, Split | None],
    ) -> None:
        """Write the features of the splits that are to be kept; `index` is this trial's position in the ensemble."""
        for name, recording, split in zip(SPLITS, recordings, splits, strict=True):
            if name in self.config.record.kept_splits and recording is not None and split is not None:
                write = partial(
                    write_features,
                    self.run.path,
                    epoch=epoch,
                    step=step,
                    split=name,
                    recording=recording,
                    samples=split,
                    trial=index,
                )
                self.processes.on_rank0(write)

    def draw(self, epoch: int, train: Recording, test: Recording | None, splits: tuple[Split, Split | None]) -> None:
        """Keep the picture of the first recorded epoch and of the last one; without a class there is no simplex."""
        self.processes.on_rank0(lambda: self._draw(epoch, train, test, splits))

    def _draw(self, epoch: int, train: Recording, test: Recording | None, splits: tuple[Split, Split | None]) -> None:
        folder = self.run.path / FEATURES
        first = not any(folder.glob("plane-*"))
        wanted = first or epoch >= min(self.config.training.epochs, self.early_stop.epoch)
        if not wanted or train.penultimate.features is None or not bool(train.penultimate.class_means.isfinite().all()):
            return
        radii = [e.values["feature_radius"] for e in self.expected if "feature_radius" in e.values]
        shown = None
        if splits[1] is not None and test is not None and test.penultimate.features is not None:
            shown = (test.penultimate.features[0], splits[1].labels[0])
        write_plane(
            folder / f"plane-{epoch:05d}.safetensors",
            epoch=epoch,
            train=(train.penultimate.features[0], splits[0].labels[0]),
            test=shown,
            means=train.penultimate.class_means[0],
            predicted_radius=radii[0] if radii else None,
        )

    def describe(self, status: str) -> None:
        """Write the manifest."""
        self.processes.on_rank0(lambda: self._describe(status))

    def fail(self) -> None:
        """Write that the run failed, without asking other processes, which may be gone."""
        if self.processes.is_rank0:
            self._describe("failed")

    def _describe(self, status: str) -> None:
        previous, seconds = self.run.manifest(), self.seconds
        self.run.write_manifest(
            {
                "status": status,
                "epochs_done": self.epochs_done,
                "epochs": self.config.training.epochs,
                "stopped_early": self.early_stop.reason if self.epochs_done >= self.early_stop.epoch else None,
                "seconds": seconds,
                "recording_seconds": self.recording_seconds,
                "samples_per_second": self.samples_per_second(self.epochs_done, seconds),
                "trained_together": self.stacked,
                "started": previous.get("started", datetime.now(UTC).isoformat(timespec="seconds")),
                "config_hash": config_hash(self.config),
                "seeds": {"seed": self.config.seed, "streams": {s.name.lower(): s.value for s in Stream}},
                **self.facts,
            }
        )

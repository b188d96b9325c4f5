"""`RunRecorder`: the loop of anybody, recorded as a run of the bench: rows, laws, verdicts, page."""

from __future__ import annotations

import operator
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from torch import nn

from nc_bench.api import Run, load_run
from nc_bench.data import what_differs
from nc_bench.distributed import current_group
from nc_bench.errors import NotFinite, RunError, UserError
from nc_bench.loggers import Logger, check_installed
from nc_bench.metrics import CollapseMetrics
from nc_bench.metrics.accumulator import FEATURE_BUDGET
from nc_bench.metrics.feature_store import checked_budget
from nc_bench.models.linear_layers import is_sharded
from nc_bench.paths import expanded
from nc_bench.runs import RunDirectory
from nc_bench.runs.directory import CONFIG
from nc_bench.telling import tell
from nc_bench.text import one_line
from nc_bench.training.feature_folder import drop_outdated
from nc_bench.training.foreign_loop import checked_columns, foreign_config, foreign_epochs
from nc_bench.training.measured_loop import MeasuredLoop, Parts
from nc_bench.training.rows import layer_rows
from nc_bench.training.run_writer import RunWriter
from nc_bench.verdicts.judging import null_of

if TYPE_CHECKING:
    from nc_bench.recording.batches import Unpack

NEVER = 2**62
"""An epoch after all."""

DATA_FACTS = ("class_counts", "samples", "data_digest")
"""What a manifest says of the data, which a resumed loop has to have."""

PROGRESS = (
    "status",
    "epochs_done",
    "epochs",
    "stopped_early",
    "seconds",
    "recording_seconds",
    "started",
    "run",
    "rows",
    "files",
)
"""What a manifest says of how far a run came, with the digests of rows and files; the rest does not change."""


class RunRecorder:
    """Makes a run directory of your own training loop, as `nc_bench.train` makes one of its own.

    ::

        with nc_bench.RunRecorder("runs/mine", model, train=train_loader, test=test_loader) as recorder:
            for epoch in range(1, 101):
                train_one_epoch(model)
                recorder.record(epoch)

    directory: the run directory. model: any classifier whose head `measure_model` finds; it is left as it was.
    train, test: loaders (iterables of batches, as for `measure_model`, without random augmentation), or (inputs,
    labels) arrays. layer, classes, unpack, device: as for `measure_model`; of a layer that is no head the features
    alone are recorded, and what needs the last layer is not judged.

    What you state is what the run is held against, and nothing is guessed:
    bounds: the keys of `constraints:` in a configuration, `{"features": {"radius": 5.0}, "head": {"radius": 1.0}}`;
    that the norms keep them is measured. objective: the keys of `objective:`, `{"loss": "mse"}`; bounds alone state
    the mean cross entropy within them. nonnegative: whether features fill only the non-negative part of their bound
    (after a ReLU) or all of it; without it no minimiser is predicted. epochs: how many there will be; 0 for a trained
    model that is measured as it is. seed: yours. class_names: by default those of the data set.
    log: names of loggers ("csv", "tensorboard", "wandb", "mlflow") or objects with log(row) and close().
    budget: bytes of features that are kept in memory; beyond it a loader is read twice.

    resume: go on with the run that the directory holds, if any. Epochs grow. The first epoch that a resumed recorder
    records may go back, as a loop does that goes on from an older checkpoint: rows of that epoch and later ones are
    then replaced. `last_epoch` is the last one that the directory holds. Other data are refused, by a digest of
    all samples, in whatever order they come.

    Every instant leaves a directory that `load_run` reads. In a process group rank 0 measures and writes; the calls of
    the others return at once.

    Raises UserError (a ValueError), one line, before anything is written: what `measure_model` raises, a bound or
    objective that no configuration may state, a directory that holds another run, or one that is being written to.
    """

    def __init__(
        self,
        directory: Any,
        model: nn.Module,
        *,
        train: Any,
        test: Any = None,
        bounds: Mapping[str, Any] | None = None,
        objective: Mapping[str, Any] | None = None,
        nonnegative: bool | None = None,
        epochs: int | None = None,
        seed: int | None = None,
        classes: Any = None,
        layer: Any = None,
        unpack: Unpack | None = None,
        device: Any = None,
        class_names: Sequence[str] | None = None,
        log: Sequence[str | Logger] = (),
        budget: int = FEATURE_BUDGET,
        resume: bool = False,
    ) -> None:
        asked = {"classes": classes, "layer": layer, "unpack": unpack, "device": device}
        self._loop = MeasuredLoop(model, train, test, **asked, budget=checked_budget(budget))
        self._class_names, self._log, self._epochs = class_names, log, epochs
        self._writer: RunWriter | None = None
        self._diverged, self._closed = False, False
        self._opened = time.perf_counter()
        group = current_group()
        if group.size > 1 and is_sharded(model):
            raise UserError(
                "model: sharded over processes by FSDP, so that none can measure it alone: call "
                "measure_model(..., processes=current_group()) of nc_bench.distributed on all of them"
            )
        self.is_writer = group.is_rank0
        self.last_epoch: int | None = None
        if not self.is_writer:
            return
        check_installed(log, key="log")
        path = expanded(directory, key="directory", error=RunError)
        head, dtype, trainable = self._loop.probe()
        self.config = foreign_config(
            model,
            dtype=dtype,
            head=None if head is None else {"bias": head.bias is not None, "trainable": trainable},
            bounds=bounds,
            objective=objective,
            nonnegative=nonnegative,
            epochs=epochs or 0,
            seed=seed,
        )
        self.run = RunDirectory(path)
        try:
            self._resumed = self.run.lock(self.config, resume=resume)
            self._held()
        except BaseException:
            self.run.release()
            raise

    def _held(self) -> None:
        """What the directory holds of earlier processes."""
        if self.run.damage is not None:
            tell(f"{self.run.damage}; made again from the rows")
        self.run.go_back(self.run.seal_before(NEVER))
        self.last_epoch = max((row["epoch"] for row in self.run.rows()), default=None)

    def __enter__(self) -> RunRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        elif isinstance(error, KeyboardInterrupt) and self._writer is not None:
            self.close("interrupted")
        else:
            self.fail()

    def record(self, epoch: Any, *, step: Any = None, **columns: Any) -> dict[str, CollapseMetrics]:
        """Measure both splits and write their rows; the metrics by split, empty where this process does not write.

        epoch: 0 before training; it grows. step: the optimizer's steps so far, by default the epoch's number.
        columns: further numbers of the training row, such as learning_rate=0.1.
        Where features or risk are not finite, that is said, nothing is written, and the run has diverged unless a later
        epoch is finite. Raises UserError, one line, for an epoch that is recorded already, and what `measure_model`
        raises.
        """
        if not self.is_writer:
            return {}
        epoch = self._checked_epoch(epoch)
        added, began = checked_columns(columns), time.perf_counter()
        parts = self._measured(epoch)
        if parts is None:
            return {}
        (train, train_split), (test, test_split) = parts
        writer = self._begun(epoch, parts)
        place: dict[str, Any] = {"epoch": epoch, "step": epoch if step is None else operator.index(step)}
        seconds = writer.seconds
        rows = layer_rows(train, added, split="train", seconds=seconds, **place)
        if test is not None:
            rows += layer_rows(test, dict.fromkeys(added), split="test", seconds=seconds, **place)
        writer.append(rows)
        self.last_epoch = epoch
        writer.keep((train, test), (train_split, test_split), **place, is_last=True, picture=True)
        drop_outdated(self.run)
        writer.recording_seconds += time.perf_counter() - began
        recorded = {"train": train} if test is None else {"train": train, "test": test}
        return {name: recording.penultimate.metrics[0] for name, recording in recorded.items()}

    def _checked_epoch(self, epoch: Any) -> int:
        if self._closed:
            raise RunError(f"{self.run.path}: the recorder is closed; open one with resume=True to go on")
        try:
            epoch = operator.index(epoch)
        except TypeError:
            raise UserError(f"epoch: should be a whole number, got {epoch!r:.60}") from None
        if epoch < 0:
            raise UserError(f"epoch: should not be negative, got {epoch}")
        if self._writer is not None and self.last_epoch is not None and epoch <= self.last_epoch:
            raise RunError(f"{self.run.path}: epoch {self.last_epoch} is recorded, so {epoch} cannot follow")
        return epoch

    def _measured(self, epoch: int) -> Parts | None:
        """Recordings and labels of both splits; None where a number is not finite."""
        try:
            parts = self._loop.measured(self.config, first=self._writer is None)
        except NotFinite as error:
            self._diverged = True
            tell(f"{self.run.path}: epoch {epoch} is not recorded ({error})")
            return None
        self._diverged = False
        return parts

    def _begun(self, epoch: int, parts: Parts) -> RunWriter:
        """The writer, from the first recorded epoch on; what the directory holds of it and later ones is dropped."""
        if self._writer is not None:
            return self._writer
        facts = self._loop.facts(self.config, parts, self._class_names)
        held = self.run.held
        # Runs of before there was a digest have none.
        if "class_counts" in held and any(held.get(key, facts[key]) != facts[key] for key in DATA_FACTS):
            raise RunError(
                f"{self.run.path}: the data are others than those of this run, {what_differs(held, facts)}: give what "
                "gives the same samples in every reading, without random augmentation"
            )
        if self.last_epoch is not None and epoch <= self.last_epoch:
            tell(f"{self.run.path}: the loop has gone back: rows of epoch {epoch} and later ones are replaced")
        self.run.go_back(self.run.seal_before(epoch))
        return self._start(facts)

    def _start(self, facts: Mapping[str, Any]) -> RunWriter:
        rows = self.run.rows()
        self.last_epoch = max((row["epoch"] for row in rows), default=None)
        writer = RunWriter(self.config, self.run, facts, self._log)
        writer.recording_seconds = self.run.held.get("recording_seconds") or 0.0
        writer.start_clock(rows[-1]["seconds"] if rows else time.perf_counter() - self._opened)
        self._writer = writer
        writer.begin(self._progress(writer))
        return writer

    def close(self, status: str = "complete") -> Run | None:
        """Judge what was recorded, write metrics.csv, predictions.json and the page, and let the directory go; the run.

        None where this process does not write. Raises RunError, one line, if nothing was ever recorded.
        """
        if not self.is_writer or self._closed:
            return load_run(self.run.path) if self.is_writer else None
        self._closed = True
        try:
            writer = self._writer or self._reopened()
            epochs = self._epochs if self._epochs is not None else self.last_epoch or 0
            config = foreign_epochs(self.config, epochs)
            if config != writer.config:
                writer.change_config(config, self._progress(writer))
            null = null_of(writer.facts)
            writer.finish("diverged" if self._diverged else status, null, self._progress(writer))
        finally:
            self._release()
        run = load_run(self.run.path)
        try:
            run.report()
        except Exception as error:
            tell(f"{self.run.path}: the run is kept, but not all of it could be shown: {one_line(error)}")
        return run

    def _reopened(self) -> RunWriter:
        """A writer for a run to which nothing was added."""
        if "class_counts" not in self.run.held:
            why = "no features and risk were finite" if self._diverged else "call record(epoch) in the loop"
            raise RunError(f"{self.run.path}: nothing was recorded; {why}")
        return self._start({key: value for key, value in self.run.held.items() if key not in PROGRESS})

    def fail(self) -> None:
        """Write that the loop failed, keep what was recorded, and let the directory go; resume=True goes on."""
        if not self.is_writer or self._closed:
            return
        self._closed = True
        try:
            if self._writer is not None:
                self._writer.fail(self._progress(self._writer))
        finally:
            self._release()

    def _release(self) -> None:
        """Let the directory go; where nothing was recorded, it holds no run, and another start needs no resume=True."""
        if self._writer is None and not self._resumed:
            (self.run.path / CONFIG).unlink(missing_ok=True)
        self.run.release()

    def _progress(self, writer: RunWriter) -> dict[str, Any]:
        done = self.last_epoch or 0
        planned = done if self._epochs is None and self._closed else self._epochs
        early = self._closed and planned is not None and done < planned
        return {
            "epochs_done": done,
            **({} if planned is None else {"epochs": planned}),
            "stopped_early": "its loop ended there" if early else None,
            "seconds": writer.seconds,
        }

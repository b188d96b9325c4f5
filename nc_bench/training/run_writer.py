"""What is written into a locked run directory, whoever trains: rows, features, verdicts and the manifest."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from nc_bench.config import Config, dump_config, flatten
from nc_bench.loggers import LoggedRun, Logger, LoggerGroup
from nc_bench.runs import RunDirectory
from nc_bench.runs.directory import CONFIG, OtherWriter
from nc_bench.runs.files import digest
from nc_bench.telling import tell
from nc_bench.text import one_line
from nc_bench.training.feature_folder import Recordings, Splits, keep_classes, keep_features, keep_picture
from nc_bench.training.rows import Row
from nc_bench.verdicts.expectations import expectations
from nc_bench.verdicts.judging import judge_run


class RunWriter:
    """A locked run directory, its clock, the facts of its manifest that do not change, and loggers of its rows."""

    def __init__(
        self,
        config: Config,
        run: RunDirectory,
        facts: Mapping[str, Any],
        loggers: Sequence[str | Logger] = (),
    ) -> None:
        self.config, self.run, self.facts = config, run, facts
        self.expected = expectations(config, facts["class_counts"], facts["feature_width"])
        self.id = run.held.get("run") or uuid4().hex
        self.started = run.held.get("started") or datetime.now(UTC).isoformat(timespec="seconds")
        self.recording_seconds = 0.0
        self.files: dict[str, str] = {}
        self.loggers = LoggerGroup(loggers)
        self._vouches_for_config = True
        self._seconds_before, self._start = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of training and recording since the first start."""
        return self._seconds_before + time.perf_counter() - self._start

    def start_clock(self, seconds_before: float | None = None) -> None:
        """Count from now on, and what an earlier process took."""
        self._start = time.perf_counter()
        if seconds_before is not None:
            self._seconds_before = seconds_before

    def begin(self, progress: Mapping[str, Any]) -> None:
        """Go on after the rows that the directory has gone back to; newer ones are deleted."""
        self.write_manifest("running", progress)
        # Only now: whenever a kill comes, the rows that the manifest names are there.
        self.run.write_config(self.config)
        self.run.cut()
        settings = flatten(self.config)
        self.loggers.open(LoggedRun(path=self.run.path, id=self.id, settings=settings, rows=self.run.rows()))

    def change_config(self, config: Config, progress: Mapping[str, Any]) -> None:
        """Go on as another configuration of the same hash. A kill at any instant leaves no digest that is wrong."""
        self._vouches_for_config = False
        self.write_manifest("running", progress)
        self.run.write_config(config)
        self.config, self._vouches_for_config = config, True

    def keep(
        self,
        recordings: Recordings,
        splits: Splits,
        *,
        trial: int = 0,
        epoch: int,
        step: int,
        is_last: bool,
        picture: bool,
    ) -> None:
        """Write what is kept of the features; `trial` is the run's position in the recordings."""
        keep_features(self.run, self.config.record, recordings, splits, trial=trial, epoch=epoch, step=step)
        if is_last:
            keep_classes(self.run, recordings, trial=trial, epoch=epoch)
        if picture:
            self._draw(recordings, splits, epoch=epoch)

    def _draw(self, recordings: Recordings, splits: Splits, *, epoch: int) -> None:
        """A picture that cannot be drawn is said in one line, and the run goes on."""
        try:
            keep_picture(self.run, self.expected, recordings, splits, epoch=epoch)
        except OSError:
            raise
        except Exception as error:
            tell(f"{self.run.path}: no picture of the features of epoch {epoch} ({one_line(error)})")

    def append(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Write and log rows; the same rows."""
        self.run.append(rows)
        self.loggers.log(rows)
        return rows

    def finish(self, status: str, null: Mapping[str, float], progress: Mapping[str, Any]) -> None:
        """Judge the rows that were written, against random directions `null` too, and close manifest and loggers."""
        self.files = self.judge(null)
        self.write_manifest(status, progress)
        self.loggers.close()

    def judge(self, null: Mapping[str, float]) -> dict[str, str]:
        """Judge the rows that were written, against random directions `null` too; the SHA-256 of the files made."""
        return judge_run(self.run, self.config, self.expected, null, self.facts)

    def write_manifest(self, status: str, progress: Mapping[str, Any]) -> None:
        """Write the manifest; `progress` says how far the run came, and in how many seconds."""
        self.run.write_manifest(
            {
                "status": status,
                **progress,
                "recording_seconds": self.recording_seconds,
                "started": self.started,
                "run": self.id,
                "rows": self.run.seal.stated,
                "files": self.stated_files(self.files),
                **self.facts,
            }
        )

    def fail(self, progress: Mapping[str, Any]) -> None:
        """Write that the run failed, unless another process has taken it over."""
        with suppress(OtherWriter):
            self.write_manifest("failed", progress)
        self.loggers.close()

    def stated_files(self, made: Mapping[str, str]) -> dict[str, str]:
        """SHA-256 of the files that the manifest vouches for: the configuration, and those made of the rows."""
        config = {CONFIG: digest(dump_config(self.config).encode())} if self._vouches_for_config else {}
        return {**config, **made}

"""The folder of a sweep: a run directory per trial under its identity, its grids, what failed, how long groups took."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from filelock import FileLock

from nc_bench.config import Config, config_changes, dump_config, load_config
from nc_bench.errors import RunError, SweepError
from nc_bench.runs.directory import CONFIG, MANIFEST
from nc_bench.runs.files import digest, json_text, lock_folder, read_json, unlock, write_json, write_text
from nc_bench.runs.manifest import read_manifest
from nc_bench.runs.rows import read_json_lines
from nc_bench.sweeps.grid import Grid, trial_id

BASE, TRIALS, FAILURES, TIMINGS = "base.yaml", "trials", "failures", "timings.jsonl"
GRIDS = "grids"
SLURM_LOGS = "slurm"


class State(Enum):
    """Where a trial stands. COMPLETE and DIVERGED are finished; FAILED is run again only with --retry-failed."""

    COMPLETE = "complete"
    DIVERGED = "diverged"
    FAILED = "failed"
    STARTED = "started"
    PENDING = "pending"


FINISHED = frozenset({State.COMPLETE, State.DIVERGED})


class SweepFolder:
    """The results folder of one sweep; any number of grids over the same base configuration share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: FileLock | None = None

    def check(self, grid: Grid) -> None:
        """Raises SweepError if the folder holds trials of another base configuration."""
        path = self.path / BASE
        if path.exists():
            held = load_config(path)
            if trial_id(held, held) != trial_id(grid.base, grid.base):
                changes = "; ".join(_changes(held, grid.base))
                raise SweepError(f"{self.path}: holds a sweep of another base ({changes}); choose another --out")
            self._check_identities(held)
        elif self.path.exists() and any(self.path.iterdir()):
            raise SweepError(f"{self.path}: holds something that is not a sweep; choose another --out")

    def _check_identities(self, base: Config) -> None:
        """Raises SweepError if the folder's trials are named by the hashes of another version."""
        config = next((self.path / TRIALS).glob(f"*/{CONFIG}"), None)
        if config is None:
            return
        trial = load_config(config)
        # The data of the base may have been moved since.
        if config.parent.name not in (trial_id(trial, base), trial_id(trial, trial)):
            raise SweepError(
                f"{self.path}: was made by an earlier version of nc_bench, whose trials have other identities; "
                "choose another --out"
            )

    def lock(self, grid: Grid) -> None:
        """Make or re-open the folder and lock it; SweepError as `check`, RunError if another process has locked it."""
        self.check(grid)
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = lock_folder(self.path)
        if not (self.path / BASE).exists():
            write_text(self.path / BASE, dump_config(grid.base))
        self._write_grid(grid)

    def _write_grid(self, grid: Grid) -> None:
        """Keep which trial stands where in the grid: an arm or a column cannot be told from the trials alone."""
        content = _grid_content(grid)
        path = self._grid_path(content)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, content)  # again where it is there: the newest grid is that of the last command

    def keep_answer(self, grid: Grid, answer: Mapping[str, Any]) -> None:
        """Keep beside the grid what its study answered; it is forgotten when the grid is run again."""
        content = _grid_content(grid)
        if (path := self._grid_path(content)).exists():
            write_json(path, {**content, "answer": answer})

    def _grid_path(self, content: Mapping[str, Any]) -> Path:
        return self.path / GRIDS / f"{digest(json_text(content).encode())[:16]}.json"

    def grids(self) -> list[dict[str, Any]]:
        """What was kept of every grid that was run here, the last one last: columns, points, study, and its answer."""
        files = sorted((self.path / GRIDS).glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [read_json(path) for path in files]

    def release(self) -> None:
        """Let other processes lock the folder."""
        if self._lock is not None:
            unlock(self._lock)
            self._lock = None

    def directory(self, trial: str) -> Path:
        """The run directory of a trial, absolute: a worker may have another current directory."""
        return self.path.absolute() / TRIALS / trial

    def states(self, trials: Iterable[str]) -> dict[str, State]:
        """Where each trial stands, read from the disk."""
        failures = self.path / FAILURES
        failed = {path.stem for path in failures.iterdir()} if failures.exists() else set()
        return {trial: self._state(trial, failed) for trial in trials}

    def record_failure(self, trial: str, error: str, traceback: str | None) -> None:
        """Write why a trial failed, in one line, and the traceback of a bug. The trial is then not run again."""
        (self.path / FAILURES).mkdir(exist_ok=True)
        content = {"trial": trial, "error": error, "traceback": traceback}
        write_json(self.path / FAILURES / f"{trial}.json", content)

    def failures(self, trials: Iterable[str]) -> dict[str, str]:
        """The errors of the trials that failed, a line each."""
        paths = {trial: self.path / FAILURES / f"{trial}.json" for trial in trials}
        return {trial: read_json(path)["error"] for trial, path in paths.items() if path.exists()}

    def forget_failures(self) -> None:
        """Delete the records of failures, so that these trials are run again."""
        for path in (self.path / FAILURES).glob("*.json"):
            path.unlink()

    def log_time(self, *, trials: int, epochs: int, seconds: float) -> None:
        """Append how long a group of trials took on one worker."""
        with (self.path / TIMINGS).open("a") as file:
            file.write(json.dumps({"trials": trials, "epochs": epochs, "seconds": seconds}) + "\n")

    def times(self) -> Sequence[Mapping[str, Any]]:
        """The entries of `log_time`, without a last line that a kill cut off."""
        try:
            return read_json_lines(self.path / TIMINGS)
        except RunError:
            return []  # They only serve to guess how long a sweep takes.

    def _state(self, trial: str, failed: set[str]) -> State:
        if trial in failed:
            return State.FAILED
        try:
            status = read_manifest(self.directory(trial) / MANIFEST).get("status", "")
        except FileNotFoundError:
            return State.STARTED if self.directory(trial).exists() else State.PENDING
        except RunError:
            return State.STARTED
        finished = {state.value: state for state in FINISHED}
        return finished.get(status, State.STARTED)


def _grid_content(grid: Grid) -> dict[str, Any]:
    study = grid.sweep.study and grid.study
    return {
        "columns": list(grid.columns),
        "points": [{"cell": point.cell, "seed": point.seed, "trial": point.id} for point in grid.points],
        "study": None if study is None else study.model_dump(mode="json"),
    }


def _changes(held: Config, base: Config) -> list[str]:
    epochs = (held.training.epochs, base.training.epochs)
    longer = [f"training.epochs: {epochs[0]} -> {epochs[1]}"] if epochs[0] != epochs[1] else []
    return config_changes(held, base) + longer

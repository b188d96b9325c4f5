"""One run, one directory: written so that a kill at any instant leaves it readable and resumable."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, get_type_hints

import pandas as pd
from filelock import FileLock

from nc_bench.config import Config, ConfigError, config_changes, dump_config, load_config
from nc_bench.errors import RunError
from nc_bench.runs.files import finite_or_null, lock_folder, sync_folder, write_bytes, write_json, write_text
from nc_bench.text import first_line

CONFIG, MANIFEST, ROWS, TABLE = "config.yaml", "manifest.json", "metrics.jsonl", "metrics.csv"
PREDICTIONS, CHECKPOINT, CHECKPOINT_BEFORE = "predictions.json", "checkpoint.pt", "checkpoint.before.pt"
FEATURES, FIGURES = "features", "figures"

PENULTIMATE = "penultimate"
"""What rows call the layer whose features are the head's input."""

ROW_KEYS = {"epoch": "int64", "step": "int64", "split": "str", "layer": "str"}
"""What a row says where it was measured, and the types of these columns; all other columns are float64."""


class Verdict(TypedDict):
    """An entry of predictions.json, and a row of the table of predictions: a claim held against a measurement."""

    name: str
    claim: str
    predicted: float
    null: float
    measured: float
    deviation: float
    tolerance: float
    verdict: str
    assumption: str
    source: str


VERDICT_COLUMNS: dict[str, type] = get_type_hints(Verdict)
"""The columns of that table, and whether each holds words or numbers."""


def feature_file(run: Path, epoch: int, split: str) -> Path:
    """Where the features of a split at an epoch are kept."""
    return run / FEATURES / f"features-{epoch:05d}-{split}.safetensors"


def feature_epoch(path: Path) -> int | None:
    """The epoch of a file in the folder of features, None if it is not one of those that the run writes."""
    found = re.fullmatch(r"(?:plane-(\d+)|features-(\d+)-(?:train|test))\.safetensors", path.name)
    return int(found[1] or found[2]) if found else None


class RunDirectory:
    """Files of one run; see `nc_bench.load_run` for reading them as tables.

    `lock` makes or re-opens it for a configuration and locks it for this process: two processes never write
    the same run. Raises RunError if the directory holds another run, OSError if it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: FileLock | None = None

    def lock(self, config: Config, *, resume: bool) -> bool:
        """Lock the directory for this configuration; True if it already holds this run, to be resumed."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = lock_folder(self.path)
        if not (self.path / CONFIG).exists():
            write_text(self.path / CONFIG, dump_config(config))
            return False
        try:
            held = load_config(self.path / CONFIG)
        except ConfigError as error:
            hint = "if another version of nc_bench made this run, choose another --out"
            raise RunError(f"{first_line(error)}; {hint}") from None
        if changes := config_changes(held, config):
            raise RunError(f"{self.path}: holds another run ({'; '.join(changes)}); choose another --out")
        if not resume:
            raise RunError(f"{self.path}: holds a run already; continue it with --resume or choose another --out")
        write_text(self.path / CONFIG, dump_config(config))
        return True

    def release(self) -> None:
        """Let other processes lock the directory."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def manifest(self) -> dict[str, Any]:
        """The manifest, or an empty one where none was written yet."""
        path = self.path / MANIFEST
        content: dict[str, Any] = read_json(path) if path.exists() else {}
        return content

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        write_json(self.path / MANIFEST, manifest)

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to metrics.jsonl; where the disk takes only a part, that part is taken back."""
        path = self.path / ROWS
        text = "".join(json.dumps(finite_or_null(row)) + "\n" for row in rows)
        size = path.stat().st_size if path.exists() else 0
        try:
            with path.open("ab") as file:
                file.write(text.encode())
        except OSError:
            if path.exists():
                os.truncate(path, size)
            raise

    def rows(self) -> list[dict[str, Any]]:
        """The complete rows written so far; a last line that a kill cut off is left out."""
        return read_rows(self.path / ROWS)

    def cut(self, step: int) -> None:
        """Go back to `step`, where a resumed run starts: delete newer rows, the features of their epochs, metrics.csv
        and predictions.json."""
        for stale in (TABLE, PREDICTIONS):
            (self.path / stale).unlink(missing_ok=True)
        kept = [row for row in self.rows() if row["step"] <= step]
        epochs = {row["epoch"] for row in kept}
        for path in (self.path / FEATURES).glob("*.safetensors"):
            if (epoch := feature_epoch(path)) is not None and epoch not in epochs:
                path.unlink()
        write_text(self.path / ROWS, "".join(json.dumps(row) + "\n" for row in kept))

    def save_checkpoint(self, content: bytes) -> None:
        """Write a checkpoint and keep the one before it; the rows it counts on reach the disk first."""
        with (self.path / ROWS).open("ab") as rows:
            os.fsync(rows.fileno())
        current, before = self.path / CHECKPOINT, self.path / CHECKPOINT_BEFORE
        fresh = self.path / f"{CHECKPOINT}.new"
        write_bytes(fresh, content)
        if current.exists():
            current.replace(before)
        fresh.replace(current)
        sync_folder(self.path)

    def checkpoints(self) -> list[Path]:
        """Checkpoint files, the newest first."""
        names = (CHECKPOINT, CHECKPOINT_BEFORE)
        return [self.path / name for name in names if (self.path / name).exists()]

    def finish(self, predictions: Sequence[Verdict]) -> None:
        """Write metrics.csv from the rows, and predictions.json."""
        write_text(self.path / TABLE, rows_to_frame(self.rows()).to_csv(index=False))
        write_json(self.path / PREDICTIONS, list(predictions))


def read_json(path: Path) -> Any:
    """What a JSON file of the run holds; RunError naming the file and the line if it is damaged."""
    return _parsed(path.read_bytes(), path, first_line=1)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a metrics.jsonl, without a last line that was cut off; RunError naming the line that is damaged."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    return [_parsed(line, path, first_line=number) for number, line in enumerate(lines[:-1], 1)]


def rows_to_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table: numbers as float64 with NaN where a value is undefined, seconds last, reasons left out."""
    frame = pd.DataFrame([{key: value for key, value in row.items() if key != "reasons"} for row in rows])
    if frame.empty:
        frame = pd.DataFrame(columns=[*ROW_KEYS, "seconds"])
    types = {name: ROW_KEYS.get(name, "float64") for name in frame.columns}
    ordered = [name for name in frame.columns if name != "seconds"] + ["seconds"] * ("seconds" in frame.columns)
    return frame.astype(types)[ordered]


def _parsed(content: bytes, path: Path, *, first_line: int) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        line, problem = error.lineno, f"is not JSON: {error.msg}"
    except UnicodeDecodeError as error:
        line, problem = 1 + content.count(b"\n", 0, error.start), f"is not UTF-8: {error.reason}"
    raise RunError(f"{path}: damaged (line {first_line + line - 1} {problem})")

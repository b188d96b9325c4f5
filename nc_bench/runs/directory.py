"""One run, one directory: written so that a kill at any instant leaves it readable and resumable."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict, get_type_hints

from filelock import FileLock

from nc_bench.config import Config, ConfigError, config_changes, config_hash, dump_config, load_config
from nc_bench.errors import RunError
from nc_bench.runs.files import digest, json_text, lock_folder, sync_folder, unlock, write_bytes, write_text
from nc_bench.runs.manifest import read_manifest, write_manifest
from nc_bench.runs.rows import Rows, Seal, read_rows, rows_to_frame, sealed_lines
from nc_bench.text import first_line

CONFIG, MANIFEST, ROWS, TABLE = "config.yaml", "manifest.json", "metrics.jsonl", "metrics.csv"
PREDICTIONS, CHECKPOINT, CHECKPOINT_BEFORE = "predictions.json", "checkpoint.pt", "checkpoint.before.pt"
FEATURES, FIGURES = "features", "figures"

PENULTIMATE = "penultimate"
"""What rows call the layer whose features are the head's input."""

CORRECT = "_correct"
"""What follows the name of a split in rows of its correctly classified samples."""


class OtherWriter(RunError):
    """Another process has written into this run, so that this one has to end and leave it alone."""


class Verdict(TypedDict):
    """An entry of predictions.json, and a row of the table of predictions: a claim held against a measurement.

    later: the value of the run's longer twin (`train --settle`), NaN where there is none. rest: what is known of
    whether the value still moves, "" for a law and where the claim does not apply.
    """

    name: str
    claim: str
    predicted: float
    null: float
    measured: float
    later: float
    deviation: float
    tolerance: float
    verdict: str
    rest: str
    assumption: str
    source: str


VERDICT_COLUMNS: dict[str, type] = get_type_hints(Verdict)
"""The columns of that table, and whether each holds words or numbers."""


def feature_file(run: Path, epoch: int, split: str) -> Path:
    """Where the features of a split at an epoch are kept."""
    return run / FEATURES / f"features-{epoch:05d}-{split}.safetensors"


def class_column(name: str, label: int) -> str:
    """The column of rows that holds a number of one class."""
    return f"{name}_class_{label}"


def class_file(run: Path, epoch: int) -> Path:
    """Where the tables of classes at the last epoch are kept."""
    return run / FEATURES / f"classes-{epoch:05d}.safetensors"


def picture_file(run: Path, epoch: int) -> Path:
    """Where the picture of an epoch is kept: what the page draws of features, class means and rows of W."""
    return run / FEATURES / f"picture-{epoch:05d}.safetensors"


def feature_epoch(path: Path) -> int | None:
    """The epoch of a file in the folder of features, None if it is not one of those that the run writes."""
    found = re.fullmatch(r"(?:(?:picture|classes)-(\d+)|features-(\d+)-(?:train|test))\.safetensors", path.name)
    return int(found[1] or found[2]) if found else None


class RunDirectory:
    """Files of one run; see `nc_bench.load_run` for reading them as tables.

    `lock` makes or re-opens it for a configuration and locks it for this process: two processes never write
    the same run. Raises RunError if the directory holds another run, OSError if it cannot be written.

    Some file systems have no locks, or locks that do nothing. So every write first looks whether metrics.jsonl is
    still the file that this process wrote, by its size and inode, and raises OtherWriter if it is not.

    `held` is the manifest that was found when the directory was locked, empty where there was none; `damage` says
    what is wrong with it if it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held: dict[str, Any] = {}
        self.damage: str | None = None
        self._lock: FileLock | None = None
        self._seal: Seal | None = None
        self._written: tuple[int, int] | None = None

    def lock(self, config: Config, *, resume: bool) -> bool:
        """Lock the directory for this configuration; True if it already holds this run, to be resumed."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = lock_folder(self.path)
        try:
            self.held = self.manifest()
        except RunError as error:
            self.damage = str(error)
        if not (self.path / CONFIG).exists() and not self.held:
            self._check_holds_nothing()
            self.write_config(config)
            return False
        self._check_is(config)
        if not resume:
            raise RunError(f"{self.path}: holds a run already; continue it with --resume or choose another --out")
        return True

    def write_config(self, config: Config) -> None:
        """Write the configuration where it is not what the file says."""
        text = dump_config(config)
        with suppress(FileNotFoundError):
            if (self.path / CONFIG).read_bytes() == text.encode():
                return
        write_text(self.path / CONFIG, text)

    def release(self) -> None:
        """Let other processes lock the directory."""
        if self._lock is not None:
            unlock(self._lock)
            self._lock = None

    def manifest(self) -> dict[str, Any]:
        """The manifest, or an empty one where none was written yet."""
        path = self.path / MANIFEST
        return read_manifest(path) if path.exists() else {}

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest; the rows and files that it vouches for reach the disk first."""
        self._check_sole_writer()
        with suppress(FileNotFoundError), (self.path / ROWS).open("rb+") as rows:
            os.fsync(rows.fileno())
        write_manifest(self.path / MANIFEST, manifest)

    @property
    def seal(self) -> Seal:
        """That of the rows of this run."""
        if self._seal is None:
            found = read_rows(self.path / ROWS).whole()
            self._seal, self._written = found.seals[-1], self._state()
        return self._seal

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to metrics.jsonl; where the disk takes only a part, that part is taken back."""
        path = self.path / ROWS
        text, seal = sealed_lines(rows, self.seal)
        self._check_sole_writer()
        size = path.stat().st_size if path.exists() else 0
        try:
            with path.open("ab") as file:
                file.write(text)
        except OSError:
            if path.exists():
                os.truncate(path, size)
                self._written = self._state()
            raise
        self._seal, self._written = seal, self._state()

    def rows(self) -> list[dict[str, Any]]:
        """The rows of this run. RunError, one line, if they are not those that were written."""
        return self._kept().rows

    def go_back(self, seal: Seal) -> None:
        """The run goes on from these rows. They are checked here, and newer ones deleted by `cut`."""
        read_rows(self.path / ROWS).up_to(seal)
        self._seal, self._written = seal, self._state()

    def seal_before(self, epoch: int) -> Seal:
        """That of the rows of earlier epochs than this. RunError, one line, if one of them is damaged or missing."""
        found = read_rows(self.path / ROWS)
        if "rows" in self.held:
            found.up_to(Seal.of(self.held["rows"]))
        kept = next((place for place, row in enumerate(found.rows) if row["epoch"] >= epoch), None)
        return found.whole().seals[-1] if kept is None else found.seals[kept]

    def cut(self) -> None:
        """Delete rows newer than `go_back` said, the features of their epochs, metrics.csv and predictions.json."""
        self._check_sole_writer()
        for stale in (TABLE, PREDICTIONS):
            (self.path / stale).unlink(missing_ok=True)
        kept = self._kept()
        epochs = {row["epoch"] for row in kept.rows}
        for path in (self.path / FEATURES).glob("*.safetensors"):
            if (epoch := feature_epoch(path)) is not None and epoch not in epochs:
                path.unlink()
        write_bytes(self.path / ROWS, b"".join(line + b"\n" for line in kept.lines))
        self._written = self._state()

    def save_checkpoint(self, content: bytes) -> None:
        """Write a checkpoint and keep the one before it; the rows it counts on reach the disk first."""
        self._check_sole_writer()
        with (self.path / ROWS).open("ab") as rows:
            os.fsync(rows.fileno())
        current, before = self.path / CHECKPOINT, self.path / CHECKPOINT_BEFORE
        fresh = self.path / f"{CHECKPOINT}.new"
        write_bytes(fresh, content)
        if current.exists():
            current.replace(before)
        fresh.replace(current)
        sync_folder(self.path)
        self._written = self._state()

    def checkpoints(self) -> list[Path]:
        """Checkpoint files, the newest first."""
        names = (CHECKPOINT, CHECKPOINT_BEFORE)
        return [self.path / name for name in names if (self.path / name).exists()]

    def finish(self, predictions: Sequence[Verdict]) -> dict[str, str]:
        """Write metrics.csv from the rows, and predictions.json; the SHA-256 of each by name, for the manifest."""
        self._check_sole_writer()
        texts = {
            TABLE: rows_to_frame(self.rows()).to_csv(index=False),
            PREDICTIONS: json_text(list(predictions)),
        }
        for name, text in texts.items():
            write_text(self.path / name, text)
        return {name: digest(text.encode()) for name, text in texts.items()}

    def lost(self) -> list[str]:
        """Files that are not as the held manifest names them: config.yaml and what is made of the rows."""
        stated, names = self.held.get("files", {}), (CONFIG, TABLE, PREDICTIONS)
        paths = {name: self.path / name for name in names}
        return [n for n, p in paths.items() if not p.exists() or digest(p.read_bytes()) != stated.get(n)]

    def _kept(self) -> Rows:
        return read_rows(self.path / ROWS).up_to(self.seal)

    def _check_holds_nothing(self) -> None:
        """RunError if there are rows or checkpoints, though nothing says which run they are of."""
        for name in (ROWS, CHECKPOINT, CHECKPOINT_BEFORE):
            path = self.path / name
            if path.exists() and path.stat().st_size:
                lost = f"{CONFIG} and a {MANIFEST} that can be read are missing"
                raise RunError(f"{path}: of which run is not known ({lost}); choose another --out")

    def _check_is(self, config: Config) -> None:
        """RunError if the directory holds another run: by its manifest, or else by config.yaml."""
        stated = self.held.get("config_hash")
        if stated == config_hash(config):
            return  # config.yaml is written again where it is missing or damaged.
        try:
            held = load_config(self.path / CONFIG)
        except ConfigError as error:
            hint = "if another version of nc_bench made this run, choose another --out"
            raise RunError(f"{first_line(error)}; {hint}") from None
        if stated is not None or config_changes(held, config):
            changes = "; ".join(config_changes(held, config)) or f"its configuration has the hash {stated}"
            raise RunError(f"{self.path}: holds another run ({changes}); choose another --out")

    def _state(self) -> tuple[int, int] | None:
        """What tells the file of rows from one that another process wrote: inode and size."""
        try:
            found = (self.path / ROWS).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size

    def _check_sole_writer(self) -> None:
        if self._seal is not None and self._state() != self._written:
            raise OtherWriter(
                f"{self.path / ROWS}: another process has written there, so this one ends; a directory is for one "
                "process at a time, also where the file system has no locks"
            )

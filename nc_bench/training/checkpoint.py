"""Checkpoints: files that torch.load opens, with a SHA-256 at the end so that damage is noticed."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nc_bench.runs import RunDirectory, RunError
from nc_bench.runs.directory import CHECKPOINT
from nc_bench.runs.rows import Seal
from nc_bench.telling import tell
from nc_bench.training.file_kinds import foreign_file

FORMAT = 3
FIRST_FORMAT = b"nc_bench checkpoint 1\n"
"""How files of format 1 begin, which were no zip files."""

LABEL = b"sha256:"
COMMENT = len(LABEL) + 2 * hashlib.sha256().digest_size


class DamagedCheckpoint(RunError):
    """A checkpoint file that is not as it was written, or is of another run; the message names it."""


class ForeignFile(DamagedCheckpoint):
    """A file of another kind in place of a checkpoint; the message says of which."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a run goes on from.

    meta: `config_hash`, `data_digest` and `run` (which run it is of, and when that was `started`), `rows` (the seal of
    the rows recorded so far), `epoch` (full ones), `step`, `seconds` and `recording_seconds` (of wall-clock time so
    far). state: `model` and `optimizer`, the state_dicts of one trial, as `Ensemble.states` gives them.
    """

    meta: dict[str, Any]
    state: dict[str, Any]


def encode(checkpoint: Checkpoint) -> bytes:
    """The content of the file: torch.save of {format, meta, model, optimizer}, a zip file, whose comment is
    "sha256:" and the SHA-256 of everything before it, label included, in hexadecimal digits."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "meta": checkpoint.meta, **checkpoint.state}, buffer)
    archive = buffer.getvalue()
    # A zip file ends in the length of its comment and the comment: torch.save writes none.
    assert archive.endswith(b"\0\0")
    content = archive[:-2] + struct.pack("<H", COMMENT) + LABEL
    return content + hashlib.sha256(content).hexdigest().encode()


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file, on the CPU.

    Raises ForeignFile for a file of another kind, DamagedCheckpoint if a single bit is not as it was written or the
    end is missing, and RunError for a checkpoint of another format; each message is one line that names the file.
    """
    raw = path.read_bytes()
    if raw.startswith(FIRST_FORMAT):
        raise RunError(f"{path}: a checkpoint of format 1, which is no longer read; train the run again in a new --out")
    content, digest = raw[: -(COMMENT - len(LABEL))], raw[-(COMMENT - len(LABEL)) :]
    if not content.endswith(LABEL) and (kind := foreign_file(raw)):
        raise ForeignFile(f"{path}: {kind}, and no checkpoint of nc_bench")
    if not content.endswith(LABEL):
        raise DamagedCheckpoint(f"{path}: cut off ({len(raw)} bytes without a SHA-256 at their end)")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise DamagedCheckpoint(f"{path}: damaged (its SHA-256 does not match)")
    try:
        saved = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DamagedCheckpoint(f"{path}: holds Python objects that would run code, and is not loaded") from None
    if saved["format"] != FORMAT:
        raise RunError(f"{path}: a checkpoint of format {saved['format']}, but this nc_bench reads format {FORMAT}")
    return Checkpoint(meta=saved["meta"], state={"model": saved["model"], "optimizer": saved["optimizer"]})


def newest_checkpoint(run: RunDirectory, facts: Mapping[str, Any]) -> Checkpoint | None:
    """The newest checkpoint of a run that is good, with the rows it counts on; others are named on the standard error.

    `facts`: the `config_hash` and `data_digest` of the run. None where no checkpoint is good. Raises RunError as
    `read_checkpoint` does, and where checkpoints are good but not the rows that they count on.
    """
    paths, damaged_rows = run.checkpoints(), None
    if not paths and run.held.get("epochs_done"):
        tell(f"{run.path / CHECKPOINT}: is missing; falling back to the start")
    for path in paths:
        earlier = "the start" if path == paths[-1] else "the checkpoint before it"
        try:
            checkpoint = read_checkpoint(path)
            _check_is_of(checkpoint.meta, {**facts, "run": run.held.get("run")}, path)
        except DamagedCheckpoint as error:
            tell(f"{error}; falling back to {earlier}")
            continue
        try:
            run.go_back(Seal.of(checkpoint.meta["rows"]) if checkpoint.meta["step"] else Seal())
        except RunError as error:
            damaged_rows = error
            if path != paths[-1]:
                tell(f"{error}; falling back to {earlier}")
            continue
        return checkpoint
    if damaged_rows is not None:
        raise RunError(f"{damaged_rows}; no checkpoint goes on from those alone: train the run again in a new --out")
    return None


def _check_is_of(meta: Mapping[str, Any], run: Mapping[str, Any], path: Path) -> None:
    """DamagedCheckpoint if a checkpoint is not of this run; what is not known of the run is None."""
    for key, what in (("config_hash", "configuration"), ("data_digest", "data"), ("run", "start")):
        if run[key] is not None and meta[key] != run[key]:
            raise DamagedCheckpoint(f"{path}: of another run (its {what} is {meta[key][:16]}, not {run[key][:16]})")

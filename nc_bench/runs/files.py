"""Files that a kill at any instant leaves whole: the old content or the new, never a part. Locks on folders."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nc_bench.errors import RunError

LOCK = ".lock"


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path`: temporary file, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def lock_folder(folder: Path) -> FileLock:
    """Lock a folder for this process, until the lock is released or the process ends, in whatever way.

    RunError, naming the folder, if another process has locked it.
    """
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(f"{folder}: another process is writing there") from None
    return lock


def sync_folder(folder: Path) -> None:
    """Make renames in this folder survive a power cut. Windows cannot open a folder, and needs nothing of the kind."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """JSON with NaN and infinity as null."""
    write_text(path, json.dumps(finite_or_null(content), indent=2) + "\n")


def finite_or_null(content: Any) -> Any:
    """The same content with every number that JSON cannot hold replaced by None."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {key: finite_or_null(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite_or_null(value) for value in content]
    return content

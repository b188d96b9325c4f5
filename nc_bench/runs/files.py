"""Files that a kill at any instant leaves whole: the old content or the new, never a part. Locks on folders."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from nc_bench.errors import RunError
from nc_bench.telling import tell

LOCK = ".lock"

NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
"""What file systems without locks answer: Lustre mounted without flock, some network file systems."""

DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


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

    Where the file system has no locks, that is said on the standard error and there is none: a second writer of a run
    is then found by its rows (see `RunDirectory`). A file that marks the folder as taken would be no lock: after a
    kill it stays, and no other machine can tell that its process has ended.

    RunError, naming the folder or the file, if another process has locked it or it cannot be locked; OSError if the
    disk is full.
    """
    path = folder / LOCK
    lock = FileLock(path, blocking=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(
            f"{folder}: another process is writing there; wait until it ends, or choose another --out"
        ) from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            if error.errno in DISK_FULL:
                raise
            raise RunError(f"{path}: cannot be locked ({reason}); {_way_on(path, error)}") from None
        tell(
            f"{path}: this file system has no locks ({reason}), so this goes on without; let no other process write "
            "there, or put --out on a disk of this machine"
        )
    return lock


def _way_on(path: Path, error: OSError) -> str:
    """What to do about a file that cannot be locked."""
    if path.is_symlink() or path.is_dir():
        return "no run makes it so: delete it, or choose another --out"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "let this user write to it and to its folder, or choose another --out"
    return "try again, or put --out on a disk of this machine"


def unlock(lock: FileLock) -> None:
    """Let other processes lock the folder; where the file system refuses that, they can when this process ends."""
    with suppress(OSError, NotImplementedError):
        lock.release()


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
    write_text(path, json_text(content))


def json_text(content: Any) -> str:
    """The text of a JSON file: NaN and infinity as null."""
    return json.dumps(finite_or_null(content), indent=2) + "\n"


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def arrays_digest(arrays: Mapping[str, NDArray[Any]], notes: Mapping[str, str]) -> str:
    """SHA-256 of named arrays and of notes about them, as every file of arrays carries it among its notes."""
    found = hashlib.sha256(json.dumps(sorted(notes.items())).encode())
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays and the notes of a safetensors file; RunError, one line, if it is damaged or its SHA-256 differs."""
    try:
        with safe_open(path, framework="numpy") as file:
            notes = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: damaged (not a whole safetensors file: {error})") from None
    if notes.pop("sha256", None) not in (None, arrays_digest(arrays, notes)):
        raise RunError(f"{path}: damaged (its SHA-256 does not match)")
    return arrays, notes


def read_json(path: Path) -> Any:
    """What a JSON file of the run holds; RunError naming the file and the line if it is damaged."""
    return parsed_json(path.read_bytes(), path, first_line=1)


def parsed_json(content: bytes, path: Path, *, first_line: int) -> Any:
    """What a piece of a file holds that begins at this line; RunError naming the file and the line if it is no JSON."""
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        line, problem = error.lineno, f"is not JSON: {error.msg}"
    except UnicodeDecodeError as error:
        line, problem = 1 + content.count(b"\n", 0, error.start), f"is not UTF-8: {error.reason}"
    except RecursionError:
        line, problem = 1, "is nested too deeply"
    raise RunError(f"{path}: damaged (line {first_line + line - 1} {problem})")


def finite_or_null(content: Any) -> Any:
    """The same content with every number that JSON cannot hold replaced by None."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {key: finite_or_null(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite_or_null(value) for value in content]
    return content

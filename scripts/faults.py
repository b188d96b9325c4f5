"""What the fault campaign does to processes and files: operations that are counted, and at one of them a fault."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Fault = Callable[[], None]


def kill() -> None:
    """End this process as a power cut or `kill -9` does: nothing is flushed, no handler runs."""
    os.kill(os.getpid(), signal.SIGKILL)


def disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Operations:
    """Counts the operations on files below a folder that change something, and has a fault happen at one of them.

    Counted are opening for writing, writing, fsync, renaming, deleting and cutting. A fault at a write comes after half
    of its bytes.
    """

    def __init__(self, folder: Path, number: int | None, fault: Fault, *, writes_only: bool = False) -> None:
        self.folder, self.number, self.fault, self.writes_only = str(folder), number, fault, writes_only
        self.names: list[str] = []

    def happens(self, name: str, path: Any) -> bool:
        """Count an operation; whether it is the one."""
        if isinstance(path, int) or not os.fspath(path).startswith(self.folder):
            return False
        if self.writes_only and name not in ("write", "fsync"):
            return False
        self.names.append(f"{name} {Path(path).name}")
        return len(self.names) == self.number

    def install(self) -> None:
        """Put the counting versions in the places of the functions, for the rest of this process."""
        for name in ("replace", "rename", "unlink", "remove", "truncate", "rmdir"):
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        opened, fsync = io.open, os.fsync
        paths: dict[int, Any] = {}

        def counting_open(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
            writes = any(letter in mode for letter in "wax+")
            if writes and not isinstance(file, int) and self.happens("open", file):
                self.fault()
            found = opened(file, mode, *arguments, **keywords)
            if not writes or isinstance(file, int) or not os.fspath(file).startswith(self.folder):
                return found
            paths[found.fileno()] = file
            return CountedFile(found, self, file)

        def counting_fsync(handle: int) -> None:
            if handle in paths and self.happens("fsync", paths[handle]):
                self.fault()
            fsync(handle)

        setattr(os, "fsync", counting_fsync)  # noqa: B010
        io.open = builtins.open = counting_open

    def _wrapped(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def counting(path: Any, *arguments: Any, **keywords: Any) -> Any:
            if self.happens(name, path):
                self.fault()
            return original(path, *arguments, **keywords)

        return counting


class CountedFile:
    """A file whose writes are counted; all else goes through."""

    def __init__(self, file: Any, operations: Operations, path: Any) -> None:
        self._file, self._operations, self._path = file, operations, path

    def write(self, content: Any) -> Any:
        if self._operations.happens("write", self._path):
            self._file.write(content[: len(content) // 2])
            self._file.flush()
            self._operations.fault()
            content = content[len(content) // 2 :]
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> CountedFile:
        return self

    def __exit__(self, *_: object) -> None:
        # A process that a fault does not end closes its files; what it had not written may fail again.
        with contextlib.suppress(ValueError):
            self._file.close()


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a child process ended: its exit status, negative for a signal, and what it said on the standard error."""

    status: int
    said: str

    @property
    def is_bug(self) -> bool:
        return "Traceback" in self.said


def in_child(work: Callable[[], int | None], errors: Path) -> Ended:
    """Do some work in a forked process; its exit status is what the work returns."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        for path, number in ((os.devnull, 1), (str(errors), 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
        try:
            status = work() or 0
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
            status = 99
        sys.stderr.flush()
        os._exit(status)
    _, waited = os.waitpid(child, 0)
    return Ended(status=os.waitstatus_to_exitcode(waited), said=errors.read_text() if errors.exists() else "")

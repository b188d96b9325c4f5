"""Locks on folders where they fail, are missing or are something else: one line that names the file, and a way on."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_runs import network, table

from nc_bench import load_run
from nc_bench.errors import RunError
from nc_bench.runs.files import lock_folder, unlock
from nc_bench.training import run_training


def failing_flock(number: int, operations: int = ~0) -> Callable[[int, int], None]:
    """A `flock` that answers this error number to these operations."""
    flock = fcntl.flock

    def answer(descriptor: int, operation: int) -> None:
        if operation & operations:
            raise OSError(number, os.strerror(number))
        flock(descriptor, operation)

    return answer


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_named_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing_flock(number))
    assert run_training(network(training={"epochs": 1}), tmp_path / "run") == "complete"
    said = capsys.readouterr().err
    assert said.startswith(f"{tmp_path / 'run' / '.lock'}: this file system has no locks ({os.strerror(number)}), so")
    assert "put --out on" in said and said.count("\n") == 1


def test_what_a_killed_process_left_on_another_machine_locks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing_flock(errno.ENOSYS))
    (tmp_path / ".lock").write_text("4711\nanother machine\n")
    assert run_training(table(training={"epochs": 1}), tmp_path) == "complete"
    assert "has no locks" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EDEADLK, errno.EREMOTEIO, errno.EINVAL])
def test_a_lock_that_fails_is_named_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing_flock(number))
    with pytest.raises(RunError) as refused:
        run_training(network(), tmp_path)
    reason = os.strerror(number)
    assert str(refused.value) == (
        f"{tmp_path / '.lock'}: cannot be locked ({reason}); try again, or put --out on a disk of this machine"
    )
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_lock_that_cannot_be_given_back_leaves_a_finished_run_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing_flock(errno.EIO, fcntl.LOCK_UN))
    assert run_training(table(training={"epochs": 1}), tmp_path) == "complete"
    assert load_run(tmp_path).manifest["status"] == "complete"


def opening_fails(number: int) -> Callable[..., int]:
    """An `os.open` that answers this error number for files of locks."""
    opened = os.open

    def answer(path: Any, *arguments: Any, **settings: Any) -> int:
        if str(path).endswith(".lock"):
            raise OSError(number, os.strerror(number), path)
        return opened(path, *arguments, **settings)

    return answer


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_folder_that_is_another_users_or_read_only_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "open", opening_fails(number))
    with pytest.raises(RunError, match=r"\.lock: cannot be locked .*; let this user write to it and to its folder, or"):
        lock_folder(tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_called_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "open", opening_fails(number))
    with pytest.raises(OSError, match=os.strerror(number)):
        lock_folder(tmp_path)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to("other"),
    ],
    ids=["a folder", "a link to nothing", "a link in a circle", "a link to a file"],
)
def test_what_is_no_lock_is_named_and_kept(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "other").write_text("mine")
    make(tmp_path / ".lock")
    with pytest.raises(RunError, match=r"\.lock: cannot be locked .*; no run makes it so: delete it"):
        lock_folder(tmp_path)
    assert (tmp_path / "other").read_text() == "mine"


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.write_text("something")], ids=["a pipe", "a file"])
def test_a_pipe_or_a_file_with_content_is_locked_without_waiting(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / ".lock")
    lock = lock_folder(tmp_path)
    with pytest.raises(RunError, match="another process is writing there; wait until it ends, or choose another"):
        lock_folder(tmp_path)
    unlock(lock)
    unlock(lock_folder(tmp_path))

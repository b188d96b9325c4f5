"""How every command ends: its exit status, and what it says on the standard error."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from nc_bench.errors import LostProcess, UserError, out_of_memory
from nc_bench.telling import tell

EXIT_OK, EXIT_FAILED, EXIT_REFUSED, EXIT_DIVERGED, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

EXIT_OF_STATUS = {"complete": EXIT_OK, "diverged": EXIT_DIVERGED, "interrupted": EXIT_INTERRUPTED}
"""Of a command that made a run, by the run's status."""

EXIT_BROKEN_PIPE = 141
"""As a shell reports a program that writes to a pipe whose reader has ended: 128 + SIGPIPE."""


def run_command(work: Callable[[], int]) -> int:
    """Do the work of a command; its exit status, or that of the error that ended it, which is said in one line.

    An error that `explain` does not know is a bug and is raised, so that Python shows its traceback and exits with 1.
    """
    _open_standard_streams()
    _print_anything()
    try:
        try:
            with _sigterm_as_interrupt():
                status = work()
        except SystemExit:  # as argparse raises it after printing its help
            sys.stdout.flush()
            raise
        # Here and not when Python exits, where a broken pipe could no longer be handled.
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        _leave_at_the_next_signal()
        say("interrupted")
        return EXIT_INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_has_left():
            return EXIT_BROKEN_PIPE
        explained = explain(error)
        if explained is None:
            raise
        status, line = explained
        say(line)
        return status


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does, with one line. Outside of the main thread signals keep their handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave_at_the_next_signal() -> None:
    """From now on Ctrl-C ends this program at once: Python, which tidies up as it exits, would show a traceback."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    started = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    is_program = started == "nc-bench" or (spec is not None and spec.name.startswith("nc_bench."))
    if is_program and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: os._exit(EXIT_INTERRUPTED))


def _open_standard_streams() -> None:
    """Lead to nowhere what this program was started without (`>&-`): else the next file that is opened takes its place,

    and what a library prints goes into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, so this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115 - for as long as the program runs


def _print_anything() -> None:
    """Let names of files that are no text, and letters that the terminal does not have, be printed as \\x and \\u."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def explain(error: Exception) -> tuple[int, str] | None:
    """The exit status of a command that this error ends, and what to say; None for a bug."""
    if isinstance(error, UserError):
        return EXIT_REFUSED, str(error)
    if isinstance(error, LostProcess):
        return EXIT_FAILED, str(error)
    if isinstance(error, OSError):
        return EXIT_FAILED, f"cannot read or write: {error}; files that were complete are kept"
    line = out_of_memory(error)
    return None if line is None else (EXIT_FAILED, line)


def say(line: str) -> None:
    """Print on the standard error; under torchrun once, though every process and every restart says the same."""
    place = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if place is not None:
        # Here, since every command starts with this module, and only processes of a group need them.
        import hashlib
        from pathlib import Path

        name = f"said-{hashlib.sha256(line.encode()).hexdigest()[:16]}"
        try:
            # The folder of all attempts: LOG/attempt_0/0/error.json.
            (Path(place).parents[2] / name).touch(exist_ok=False)
        except FileExistsError:
            return
        except OSError:
            pass  # Said once too often is better than not at all.
    tell(line)


def _reader_has_left() -> bool:
    """Whether the standard output is the broken pipe; if so it now leads nowhere, since Python flushes it at exit."""
    try:
        print(flush=True)  # An error drops what could not be written, so that flushing alone may succeed.
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False

"""How a case of the input campaign may end, and the time that it has."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

TIMEOUT = 60
"""Seconds; a case takes some milliseconds on a quiet machine."""

RIGHT, UNDEFINED, REFUSED = "right", "NaN with a reason", "one line"


class Hang(BaseException):
    """A case that takes longer than TIMEOUT; no handler for errors catches it."""


@contextmanager
def within_time() -> Iterator[None]:
    def expired(number: int, frame: FrameType | None) -> None:
        raise Hang(f"longer than {TIMEOUT} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(TIMEOUT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(work: Callable[[], str], *, lines: int = 1) -> str:
    """How a case ended. A ValueError has to have a message, of at most so many lines."""
    with within_time():
        try:
            return work()
        except ValueError as error:
            text = str(error)
            assert text.strip() and len(text.splitlines()) <= lines, f"not one line: {text!r}"
            last = traceback.extract_tb(error.__traceback__)[-1].filename
            assert "nc_bench" in last, f"raised by {last} and not by a check: {type(error).__name__}: {text}"
            return REFUSED

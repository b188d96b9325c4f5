"""Lines about work that goes on. One that cannot be written never stops the work that it is about."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

Show = Literal["bar", "lines", "nothing"]
"""How the progress of work is shown."""

LINE_SECONDS = 60.0
"""The least time between two lines of progress."""


def is_notebook() -> bool:
    """Whether this is the kernel of a notebook, which shows a bar although its standard error is no terminal."""
    return "ipykernel.zmqshell" in sys.modules


def tell(line: str) -> None:
    """Print on the standard error, above any progress bar; nothing where that is closed, full or a lost terminal."""
    if sys.stderr is None:  # as Python leaves it where it was started without
        return
    from tqdm import tqdm  # Here, since commands start with this module, and Ctrl-C meanwhile has to end in one line.

    try:
        tqdm.write(line, file=sys.stderr)
        sys.stderr.flush()
    except (OSError, ValueError):  # ValueError: the stream has been closed
        pass


def progress_shown(*, quiet: bool) -> Show:
    """How a command shows its progress: by a bar, by lines where the standard output is no terminal, or not at all."""
    if quiet:
        return "nothing"
    is_watched = is_notebook() or (sys.stdout is not None and sys.stdout.isatty())
    return "bar" if is_watched else "lines"


class ProgressLines:
    """Says on the standard output how far a job of so many parts is, as the log of a job without a terminal wants it.

    There is a line where a further tenth is done, but none within a minute of the line before: a short job says only
    where it begins, and a long one ten lines more. A line that cannot be printed is left out.
    """

    def __init__(self, total: float, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.unit, self.clock = total, unit, clock
        self.began = self.said_at = clock()
        self.start = self.tenths = 0.0

    def begin(self, line: str, done: float = 0.0) -> None:
        """Say where the job is, of which so much was done before."""
        self.start, self.tenths = done, self._tenths(done)
        self._say(line)

    def reach(self, done: float, more: str = "") -> None:
        """So much is done now; `more` stands in the line, if there is one."""
        now, tenths = self.clock(), self._tenths(done)
        if tenths <= self.tenths or now - self.said_at < LINE_SECONDS or done >= self.total:
            return
        self.tenths, self.said_at = tenths, now
        seconds = now - self.began
        left = seconds * (self.total - done) / max(done - self.start, 1e-9)
        said = [f"{done:.0f} of {self.total:.0f} {self.unit}", *([more] if more else [])]
        self._say(f"{', '.join(said)}, {duration(seconds)}, about {duration(left)} left")

    def _tenths(self, done: float) -> float:
        return done * 10 // self.total if self.total else 0.0

    @staticmethod
    def _say(line: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: the stream has been closed
            print(line, flush=True)


def duration(seconds: float) -> str:
    """`45 seconds`, and from two minutes on `0:03:20`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"

"""The page of a run that goes on: written again whenever the run has recorded something."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from nc_bench.reports.page import write_page
from nc_bench.runs import RunError, read_run
from nc_bench.runs.directory import MANIFEST, ROWS

RUNNING = "running"

POLL_SECONDS = 1.0

SHARE = 5
"""Between two pages stands so many times the time that writing one takes, so that watching costs the run little."""

TRIES = 5
"""So many polls in a row may find files that do not fit each other: the run may be writing them."""


def watch_run(
    directory: str | Path, say: Callable[[Path], object], sleep: Callable[[float], object] = time.sleep
) -> None:
    """Write DIR/report.html whenever the rows or the status of the run change, until the run ends or Ctrl-C.

    While it goes on the page loads itself again; the last one that is written does not. `say` gets its path once.
    RunError, one line, if the directory holds no run or stays damaged; OSError where the page cannot be written.
    """
    path = Path(directory).expanduser()
    seen: object = None
    failures = 0
    try:
        while True:
            began = time.monotonic()
            if (now := _state(path)) != seen:
                try:
                    run = read_run(path)
                    is_running = run.manifest.get("status") == RUNNING
                    page = write_page(run, is_running=is_running)
                    if seen is None:
                        say(page)
                except RunError:
                    failures += 1
                    if seen is None or failures == TRIES:
                        raise
                else:
                    seen, failures = now, 0
                    if not is_running:
                        return
            sleep(max(POLL_SECONDS, SHARE * (time.monotonic() - began)))
    except KeyboardInterrupt:
        if seen is not None:
            write_page(read_run(path))
        raise


def _state(path: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """What tells rows and manifest from those of another time."""
    return tuple(_stamp(path / name) for name in (ROWS, MANIFEST))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

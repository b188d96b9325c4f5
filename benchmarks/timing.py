"""Times of jobs that take turns in one process, by two clocks, and the memory that a job adds."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Best wall-clock and processor time of a job, in seconds."""

    wall: float
    processor: float


def take_turns(jobs: Sequence[Callable[[], object]], repeats: int) -> list[Cost]:
    """The best of several repeats of every job; each round runs all of them, so that disturbances hit all alike."""
    times: list[list[Cost]] = [[] for _ in jobs]
    for _ in range(repeats):
        for job, taken in zip(jobs, times, strict=True):
            wall, processor = time.perf_counter(), time.process_time()
            job()
            taken.append(Cost(wall=time.perf_counter() - wall, processor=time.process_time() - processor))
    return [Cost(wall=min(c.wall for c in t), processor=min(c.processor for c in t)) for t in times]


def extra_memory(job: Callable[[], object]) -> int | None:
    """Bytes by which the process grows while the job runs, where Linux tells: its peak can be reset and read."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        job()
        return max(0, _status("VmHWM") - before)
    except OSError:
        return None


def anonymous_memory(job: Callable[[], object]) -> tuple[int, int] | None:
    """Bytes of memory that is no file's (RssAnon): before the job, and the most while it runs, seen every 50 ms, where
    Linux tells."""
    try:
        before = highest = _status("RssAnon")
    except OSError:
        job()
        return None
    done = Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.05):
            highest = max(highest, _status("RssAnon"))

    watcher = Thread(target=watch)
    watcher.start()
    try:
        job()
    finally:
        done.set()
        watcher.join()
    return before, highest


def shown_memory(memory: int | None) -> str:
    return "not known" if memory is None else f"{memory / 2**20:.0f} MiB"


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))

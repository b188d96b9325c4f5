"""Parts of a computation in several threads, each of which has its share of torch's threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

T = TypeVar("T")
Item = TypeVar("Item")

MAX_WORKERS = 16
"""Beyond it Python, of which one thread runs at a time, would be what they wait for."""


def map_in_threads(work: Callable[[Item], T], items: Iterator[Item], count: int) -> Iterator[T]:
    """The results of `work` for `count` items, in their order: what is made of them does not depend on who was first.

    For work that is many small operations: torch's threads would meet after each of them, which costs more than it
    saves, and many times more where the machine has other work. Without gradients, and without autocast, which is a
    thread's own.
    """
    threads = torch.get_num_threads()
    workers = min(threads, count, MAX_WORKERS)
    if workers < 2:
        yield from map(work, items)
        return
    ready = Barrier(workers + 1)

    def start() -> None:
        torch.get_num_threads()  # A thread that has not asked yet would forget what it is told.
        torch.set_num_threads(threads // workers)
        ready.wait()

    def run(item: Item) -> T:
        with torch.no_grad():
            return work(item)

    with ThreadPoolExecutor(workers, initializer=start) as pool:
        for _ in range(workers):
            pool.submit(ready.wait)
        ready.wait()
        # The number is a thread's own, but threads that are started later take the one that was set last.
        torch.set_num_threads(threads)
        ready.wait()
        pending: deque[Future[T]] = deque()
        for item in items:
            pending.append(pool.submit(run, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

"""What ends a run before its last epoch: a signal, or a rule of `training.stop` over the rows recorded so far."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from nc_bench.config import Stop
from nc_bench.runs.directory import PENULTIMATE


class Interrupt:
    """True once SIGINT or SIGTERM came: the loop then finishes the step, saves and ends. `signal` says which."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self:
            # A second signal: whoever sends it does not want to wait for the step.
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)


@contextmanager
def catch_signals() -> Iterator[Interrupt]:
    """Catch SIGINT and SIGTERM inside the block; outside the main thread signals keep their handlers."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interrupt._receive) for number in numbers]
    try:
        yield interrupt
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class EarlyStop:
    """The rules of `training.stop`, shown the rows of a run in their order.

    `epoch` is where the run stops, inf while no rule says so; `reason` says why. Both depend on nothing but the rows,
    so that a resumed run, shown the rows that are kept, stops where it would have stopped.
    """

    def __init__(self, rule: Stop | None, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.rule = rule
        self.epoch, self.reason = math.inf, ""
        for row in rows:
            self.see(row)

    def see(self, row: Mapping[str, Any]) -> None:
        """Take in a row; only rows of the training split at the penultimate layer count."""
        if self.rule is None or (row["split"], row["layer"]) != ("train", PENULTIMATE):
            return
        epoch, target, more = row["epoch"], self.rule.simplex_efficiency, self.rule.terminal_epochs
        reached = row["simplex_efficiency"]
        if target is not None and reached is not None and reached >= target:
            self._propose(epoch, f"simplex_efficiency reached {reached:.4g}, and training.stop is at {target:g}")
        if more is not None and row["accuracy"] == 1:
            self._propose(epoch + more, f"{more} epochs after zero training error was recorded, at epoch {epoch}")

    def _propose(self, epoch: int, reason: str) -> None:
        if epoch < self.epoch:
            self.epoch, self.reason = epoch, reason

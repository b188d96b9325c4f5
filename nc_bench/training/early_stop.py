"""When a run ends before its last epoch, as its recorded rows have it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from nc_bench.config import Stop
from nc_bench.runs.directory import PENULTIMATE


class EarlyStop:
    """Sees the rows of a run in their order; `epoch` is where the run stops, inf while no rule says so.

    It depends on nothing but the rows, so a resumed run, shown the rows that are kept, stops where it would have.
    """

    def __init__(self, rule: Stop | None, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.rule = rule
        self.epoch, self.reason = math.inf, ""
        for row in rows:
            self.see(row)

    def see(self, row: Mapping[str, Any]) -> None:
        """Take in a row; only those of the training split at the penultimate layer say something."""
        if self.rule is None or (row["split"], row["layer"]) != ("train", PENULTIMATE):
            return
        epoch, target, more = row["epoch"], self.rule.simplex_efficiency, self.rule.terminal_epochs
        reached = row["simplex_efficiency"]
        if target is not None and reached is not None and reached >= target:
            self._propose(epoch, f"simplex_efficiency reached {reached:.4g}, and {target:g} was asked for")
        if more is not None and row["accuracy"] == 1:
            self._propose(epoch + more, f"{more} epochs after zero training error was recorded, at epoch {epoch}")

    def _propose(self, epoch: int, reason: str) -> None:
        if epoch < self.epoch:
            self.epoch, self.reason = epoch, reason

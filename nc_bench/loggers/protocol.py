"""What a logger is given, and what it has to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from nc_bench.runs.directory import PENULTIMATE
from nc_bench.runs.rows import NO_NUMBERS, ROW_KEYS

Row = Mapping[str, Any]


@runtime_checkable
class Logger(Protocol):
    """Takes the rows of a run while it is trained. One that raises is named once and left out from then on."""

    def log(self, row: Row) -> None:
        """Take a row, as it is written to metrics.jsonl: epoch, step, split, layer, then numbers by name."""

    def close(self) -> None:
        """No more rows come from this process."""


@dataclass(frozen=True, kw_only=True)
class LoggedRun:
    """The run whose rows are logged.

    path: its directory. id: the same for every process that goes on with it. settings: the configuration by dotted
    key. rows: those that are kept of earlier processes, which were logged then; what they logged besides is to be
    replaced where that is possible.
    """

    path: Path
    id: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Row] = ()

    @property
    def next_epoch(self) -> int:
        """The first epoch that is not among the kept rows."""
        return max((int(row["epoch"]) for row in self.rows), default=-1) + 1


def series(row: Row) -> str:
    """What a row's numbers are called under: `train/` or, for another layer than the head's input, `train/layer1/`."""
    layer = "" if row["layer"] == PENULTIMATE else f"{row['layer']}/"
    return f"{row['split']}/{layer}"


def numbers(row: Row) -> dict[str, float]:
    """The finite numbers of a row, by `train/nc1_pinv`."""
    prefix = series(row)
    return {
        f"{prefix}{name}": float(value)
        for name, value in row.items()
        if name not in ROW_KEYS and name not in NO_NUMBERS and value is not None and math.isfinite(value)
    }

"""What an answer may look at: the numbers of a study by cell, by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nc_bench.config import Config, ConfigError
from nc_bench.sweeps.statistics import Summary
from nc_bench.sweeps.study import Study
from nc_bench.sweeps.tables import digits


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Cells (a row per table row and measure), differences from the reference, all runs of the grid, the configuration
    of every trial, and how many training samples they had."""

    study: Study
    cells: pd.DataFrame
    differences: pd.DataFrame
    runs: pd.DataFrame
    configs: Mapping[str, Config]
    samples: int

    def at(self, measure: str, **labels: Any) -> Summary:
        """The statistics of a measure in the cell with these labels; ConfigError if there is no such cell."""
        return _summary(self.cells, measure, labels)

    def difference(self, measure: str, **labels: Any) -> Summary:
        """The statistics of the paired differences from the reference, in the cell with these labels."""
        return _summary(self.differences, measure, labels)

    def labels(self, column: str) -> list[Any]:
        """The values of a column of the table, in their order."""
        return list(self.cells[column].unique())

    def mean(self, measure: str, **labels: Any) -> float:
        return self.at(measure, **labels).mean

    def config(self, **labels: Any) -> Config:
        """The configuration of the first run with these labels."""
        runs = self.runs
        for column, value in labels.items():
            runs = runs[runs[column] == value]
        return self.configs[runs.iloc[0]["trial"]]

    @property
    def seed_count(self) -> int:
        """How many seeds every setting has."""
        return int(self.runs["seed"].nunique())

    def seeds(self) -> str:
        """`3 seeds`, `1 seed`."""
        return f"{self.seed_count} seed{'s' if self.seed_count > 1 else ''}"


def plus_minus(summary: Summary) -> str:
    """`0.987 ± 0.003`, or the mean alone where there is one run."""
    return digits(summary.mean) if math.isnan(summary.std) else f"{digits(summary.mean)} ± {digits(summary.std)}"


def interval(summary: Summary) -> str:
    """`-0.12 [-0.14, -0.1]`: a mean difference and its interval."""
    return f"{digits(summary.mean)} [{digits(summary.low)}, {digits(summary.high)}]"


def sign(summary: Summary) -> int:
    """1 or -1 if the interval of a difference is on one side of 0, else 0: the seeds do not agree."""
    return (summary.low > 0) - (summary.high < 0)


def _summary(table: pd.DataFrame, measure: str, labels: Mapping[str, Any]) -> Summary:
    chosen = table[table["measure"] == measure]
    for column, value in labels.items():
        chosen = chosen[chosen[column] == value]
    if len(chosen) != 1:
        named = ", ".join(f"{column}: {value}" for column, value in labels.items())
        raise ConfigError(f"study.answer: needs {measure} at {named}, of which the grid has {len(chosen)}")
    row = chosen.iloc[0]
    return Summary(runs=int(row["runs"]), **{name: float(row[name]) for name in ("mean", "std", "low", "high")})

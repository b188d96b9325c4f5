"""Paired differences between the values of a column of the grid, with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from nc_bench.sweeps.comparison import difference_table
from nc_bench.sweeps.outcome import Outcome
from nc_bench.sweeps.page.measures import table_measures
from nc_bench.sweeps.page.trials import SweepData

MOST_ROWS = 3000
MOST_VALUES = 24
"""Values of a column beyond which its differences from the first one are not taken."""


@dataclass(frozen=True, kw_only=True)
class Differences:
    """Differences from one value of a column: `table` as `difference_table` makes it, `by` its further columns."""

    column: str
    against: Any
    by: tuple[str, ...]
    table: pd.DataFrame


def outcome_of(data: SweepData) -> Outcome | None:
    """The tables of the sweep's study, from the trials that have finished; None where no question is asked."""
    if data.study is None:
        return None
    nothing: dict[str, Any] = {}
    return Outcome(
        study=data.study,
        runs=data.points.iloc[list(data.of_study)],
        curves=pd.DataFrame(),
        columns=data.columns,
        configs=nothing,
        manifest=nothing,
    )


def differences_of(data: SweepData, outcome: Outcome | None) -> list[Differences]:
    """Those that the study asks for; else in every column those from its first value, all other columns being equal.

    Where that would be more than MOST_ROWS numbers, a column has none.
    """
    if outcome is not None:
        compare = outcome.study.compare
        if compare is None or outcome.selected.empty or not _has(outcome.selected, compare.column, compare.against):
            return []
        by = tuple(name for name in outcome.study.rows if name != compare.column)
        found = outcome.differences
        return [Differences(column=compare.column, against=compare.against, by=by, table=found)]
    measures = table_measures(None, list(data.measures))
    # A copy of these columns alone is many times faster than the wide table.
    runs = data.points.loc[data.points["state"] == "complete", [*data.columns, "seed", *measures]].copy()
    made = []
    for column in data.columns:
        by = tuple(name for name in data.columns if name != column)
        values = runs[column].unique()
        cells = len(runs[list(data.columns)].drop_duplicates())
        if 2 <= len(values) <= MOST_VALUES and cells * len(measures) <= MOST_ROWS:
            table = difference_table(runs, column, values[0], by, measures)
            table = table[table["runs"] > 0]
            if len(table):
                made.append(Differences(column=column, against=values[0], by=by, table=table))
    return made


def _has(runs: pd.DataFrame, column: str, value: Any) -> bool:
    return bool((runs[column] == value).any())

"""Tables of statistics over the seeds of a study: cells with their intervals, and differences between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from nc_bench.config import ConfigError
from nc_bench.statistics import Difference, holm, paired_difference, summarise, unpaired_difference

STATISTICS = ("runs", "mean", "std", "low", "high", "step")
DIFFERENCES = ("runs", "paired", "mean", "error", "freedom", "low", "high", "step", "p_value", "p_holm")

MIN_PAIRS = 2


def step_of(measure: str) -> str:
    """The column of runs that says how coarse the record grid is where this measure, an epoch, was read from it."""
    return f"{measure}, step"


def cell_statistics(runs: pd.DataFrame, by: Sequence[str], measures: Sequence[str]) -> pd.DataFrame:
    """A row per cell and measure: the columns of `by`, `measure`, and STATISTICS over the cell's runs.

    `runs` has a row per run with the columns of `by` and a column per measure. An epoch that was read from the record
    grid lies up to a step of the grid before it (interval censoring): `step` is the largest, else 0, and the interval
    begins so much lower. Cells and measures keep their order.
    """
    rows = []
    for key, cell in cells_of(runs, by):
        for measure in measures:
            found = asdict(summarise(cell[measure].to_numpy(np.float64)))
            step = _step(cell, measure)
            rows.append({**key, "measure": measure, **found, "low": found["low"] - step, "step": step})
    return pd.DataFrame(rows, columns=[*by, "measure", *STATISTICS])


def difference_table(
    runs: pd.DataFrame, column: str, against: object, by: Sequence[str], measures: Sequence[str]
) -> pd.DataFrame:
    """Value minus value of the reference: a row per other cell and measure.

    column: whose values are compared; `against` is the reference. `by`: further columns, in which the two agree.
    The columns are `column`, those of `by`, `measure`, and DIFFERENCES: paired by seed where the two have at least
    MIN_PAIRS seeds in common, else by Welch's t; `p_holm` is p_value adjusted for all differences of the table.
    ConfigError if the column never has the reference value.
    """
    if not (runs[column] == against).any():
        raise ConfigError(
            f"study.compare.against: {column} is never {against}; it is {', '.join(map(str, runs[column].unique()))}"
        )
    rows = []
    for key, group in cells_of(runs, by):
        reference = group[group[column] == against]
        for value in [value for value in group[column].unique() if value != against]:
            other = group[group[column] == value]
            for measure in measures:
                found, paired, step = _difference(other, reference, measure)
                numbers = {**asdict(found), "paired": paired, "step": step}
                rows.append({column: value, **key, "measure": measure, **numbers})
    table = pd.DataFrame(rows, columns=[column, *by, "measure", *DIFFERENCES])
    table["p_holm"] = holm(table["p_value"].to_numpy(np.float64))
    return table


def matched_runs(
    runs: pd.DataFrame, by: Sequence[str], over: Sequence[str], measures: Sequence[str], condition: pd.Series
) -> pd.DataFrame:
    """A row per cell of `by` and seed: the median of every measure over the settings of `over` that match.

    A setting matches if the condition holds for all of its runs. Settings are put together within a seed first,
    because the seeds are what is independent. A cell without a match has no rows.
    """
    matching = runs[condition.groupby([runs[name] for name in (*by, *over)]).transform("all")]
    return matching.groupby([*by, "seed"], sort=False)[list(measures)].median().reset_index()


def cells_of(runs: pd.DataFrame, by: Sequence[str]) -> list[tuple[dict[str, object], pd.DataFrame]]:
    """The runs cell by cell, each after what the columns of `by` are in it, in their order."""
    if not by:
        return [({}, runs)]
    groups = runs.groupby(list(by), sort=False, dropna=False)
    return [(dict(zip(by, key, strict=True)), cell) for key, cell in groups]


def _difference(other: pd.DataFrame, reference: pd.DataFrame, measure: str) -> tuple[Difference, bool, float]:
    step = max(_step(other, measure), _step(reference, measure))
    first, second = other.set_index("seed")[measure], reference.set_index("seed")[measure]
    seeds = first.index.intersection(second.index)
    if len(seeds) >= min(MIN_PAIRS, len(first), len(second)):
        return paired_difference(first[seeds].to_numpy(), second[seeds].to_numpy(), step=step), True, step
    return unpaired_difference(first.to_numpy(), second.to_numpy(), step=step), False, step


def _step(runs: pd.DataFrame, measure: str) -> float:
    steps = runs[step_of(measure)].dropna() if step_of(measure) in runs else []
    return float(max(steps, default=0.0))

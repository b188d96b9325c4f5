"""Statistics over seeds: mean, standard deviation, bootstrap interval; paired differences on the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from nc_bench.errors import ConfigError
from nc_bench.rng import Stream, generator

LEVEL = 0.95
RESAMPLES = 10_000
MAX_ENUMERATED = 5
"""Up to this many values all n^n resamples are taken (3,125 for five), so that the interval is not random."""

HUGE = 2.0**500
"""Squares of larger numbers, and sums of them, may be infinite."""

STATISTICS = ("runs", "mean", "std", "low", "high")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Statistics of values over seeds.

    runs: how many there are. mean and std: the unbiased one (divides by runs - 1), NaN for fewer than two. low, high:
    ends of the 95 % percentile bootstrap interval of the mean, both NaN for fewer than two. With few seeds the
    interval is too narrow: it never leaves the range of the values.
    """

    runs: int
    mean: float
    std: float
    low: float
    high: float


def summarise(values: Sequence[float] | NDArray[np.float64]) -> Summary:
    """Mean, standard deviation and bootstrap interval of the values that are finite."""
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) == 0:
        return Summary(runs=0, mean=np.nan, std=np.nan, low=np.nan, high=np.nan)
    if len(numbers) == 1:
        return Summary(runs=1, mean=float(numbers[0]), std=np.nan, low=np.nan, high=np.nan)
    # A power of two changes no digit, and keeps sums and squares of the largest numbers finite.
    scale = HUGE**1.2 if float(np.abs(numbers).max()) > HUGE else 1.0
    numbers = numbers / scale
    low, high = bootstrap_interval(numbers)
    found = (float(numbers.mean()), float(numbers.std(ddof=1)), low, high)
    mean, std, low, high = (scale * number for number in found)
    return Summary(runs=len(numbers), mean=mean, std=std, low=low, high=high)


def bootstrap_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean of at least two values.

    All n^n resamples for n <= MAX_ENUMERATED, else RESAMPLES of them, drawn with a fixed seed: the same values give
    the same interval, in any order of the values for the enumerated ones.
    """
    means = np.sort(values)[_resamples(len(values))].mean(1)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def cell_statistics(runs: pd.DataFrame, by: Sequence[str], measures: Sequence[str]) -> pd.DataFrame:
    """A row per cell and measure: the columns of `by`, `measure`, and STATISTICS over the cell's runs.

    `runs` has a row per run with the columns of `by` and a column per measure. Cells and measures keep their order.
    """
    rows = []
    for key, cell in _cells(runs, by):
        for measure in measures:
            found = summarise(cell[measure].to_numpy(np.float64))
            rows.append({**key, "measure": measure, **{name: getattr(found, name) for name in STATISTICS}})
    return pd.DataFrame(rows, columns=[*by, "measure", *STATISTICS])


def paired_differences(
    runs: pd.DataFrame, column: str, against: object, by: Sequence[str], measures: Sequence[str]
) -> pd.DataFrame:
    """Value minus value of the reference, over the seeds that both have: a row per other cell and measure.

    column: whose values are compared; `against` is the reference. `by`: further columns, in which the two agree.
    The columns are `column`, those of `by`, `measure`, and STATISTICS of the differences. An interval without 0 is a
    difference that the seeds agree on. ConfigError if the column never has the reference value.
    """
    if not (runs[column] == against).any():
        raise ConfigError(
            f"study.compare.against: {column} is never {against}; it is {', '.join(map(str, runs[column].unique()))}"
        )
    rows = []
    for key, group in _cells(runs, by):
        reference = group[group[column] == against].set_index("seed")
        for value in [value for value in group[column].unique() if value != against]:
            other = group[group[column] == value].set_index("seed")
            seeds = other.index.intersection(reference.index)
            for measure in measures:
                difference = other.loc[seeds, measure] - reference.loc[seeds, measure]
                found = summarise(difference.to_numpy(np.float64))
                numbers = {name: getattr(found, name) for name in STATISTICS}
                rows.append({column: value, **key, "measure": measure, **numbers})
    return pd.DataFrame(rows, columns=[column, *by, "measure", *STATISTICS])


def at_best(
    runs: pd.DataFrame, by: Sequence[str], over: Sequence[str], measure: str, *, largest: bool, number: int = 1
) -> pd.DataFrame:
    """The runs of every cell of `by` at its `number` best settings of `over`, by the mean of the measure.

    Only settings where every run has the measure count, so that one whose seeds diverged is no best, and where every
    run has converged (column `converged`), unless a cell has no such setting; of equal ones the first. Best first. A
    cell where every setting lacks the measure has no runs.
    """
    parts = []
    for _, cell in _cells(runs, by):
        settings = [setting for _, setting in _cells(cell, over) if setting[measure].notna().all()]
        settings = [setting for setting in settings if setting["converged"].all()] or settings
        means = [float(setting[measure].mean()) for setting in settings]
        best = np.argsort([-mean if largest else mean for mean in means], kind="stable")[:number]
        parts += [settings[position] for position in best]
    return pd.concat(parts) if parts else runs.iloc[:0]


def _cells(runs: pd.DataFrame, by: Sequence[str]) -> list[tuple[dict[str, object], pd.DataFrame]]:
    if not by:
        return [({}, runs)]
    groups = runs.groupby(list(by), sort=False, dropna=False)
    return [(dict(zip(by, key, strict=True)), cell) for key, cell in groups]


def _resamples(number: int) -> NDArray[np.int64]:
    if number <= MAX_ENUMERATED:
        return np.array(list(product(range(number), repeat=number)))
    random = generator(0, Stream.STATISTICS, number)
    return torch.randint(number, (RESAMPLES, number), generator=random).numpy()

"""Curves of a sweep over the epochs: in every cell of the grid the mean over its trials, and its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nc_bench.reports.page.charts import thinned
from nc_bench.statistics import t_interval
from nc_bench.sweeps.comparison import cells_of
from nc_bench.sweeps.page.trials import Curves, SweepData, curve_measures

MOST_CELLS = 400
MOST_NUMBERS = 220_000
"""Means and half widths that all bands may have together, so that a large sweep still makes a small page."""

NOT_RECORDED = -1.0

MOST_EPOCHS, FEWEST_EPOCHS = 100, 20


@dataclass(frozen=True, kw_only=True)
class Bands:
    """Curves of every cell.

    by: the columns that tell cells apart. pooled: those that do not, because there would be too many cells: a band is
    also over their values. cells: (C, len(by)) values. runs: the most trials that a number of the cell is a mean of.
    means, halves: by measure (C, E): the mean, and half the width of its 95 % t interval, NaN where there are fewer
    than two trials, NOT_RECORDED where no trial was recorded at the epoch. left_out: how many measures have no curves
    here, for want of room.
    """

    by: tuple[str, ...]
    pooled: tuple[str, ...]
    cells: list[tuple[Any, ...]]
    runs: list[int]
    epochs: list[float]
    means: dict[str, NDArray[np.float64]]
    halves: dict[str, NDArray[np.float64]]
    left_out: int


def bands_of(data: SweepData) -> Bands:
    """The bands of the measures that have curves, in their order as far as there is room."""
    by = _columns(data.points, data.columns)
    groups = cells_of(data.points, by)
    names = list(curve_measures(data))
    epochs = sorted({epoch for one in data.curves.values() for epoch in one.epochs.tolist()})
    room = MOST_NUMBERS // (2 * max(len(groups), 1))
    kept = names[: max(1, room // FEWEST_EPOCHS)]
    epochs = thinned(epochs, int(np.clip(room // max(len(kept), 1), FEWEST_EPOCHS, MOST_EPOCHS)))
    at = {trial: np.searchsorted(one.epochs, epochs) for trial, one in data.curves.items()}
    means = {name: np.full((len(groups), len(epochs)), np.nan) for name in kept}
    halves = {name: np.full((len(groups), len(epochs)), np.nan) for name in kept}
    runs = []
    for place, (_, group) in enumerate(groups):
        trials = [trial for trial in dict.fromkeys(group["trial"]) if trial in data.curves]
        most = 0
        for name in kept:
            if trials:
                table = np.array([_at(data.curves[trial], name, epochs, at[trial]) for trial in trials])
                means[name][place], halves[name][place], counts = _mean_and_half(table)
                most = max(most, int(counts.max()))
            halves[name][place, ~_recorded(trials, data, epochs)] = NOT_RECORDED
        runs.append(most)
    return Bands(
        by=by,
        pooled=tuple(name for name in data.columns if name not in by),
        cells=[tuple(key.values()) for key, _ in groups],
        runs=runs,
        epochs=epochs,
        means=means,
        halves=halves,
        left_out=len(names) - len(kept),
    )


def _mean_and_half(
    table: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Of trials (R, E): at each epoch the mean, half the width of its t interval, and how many values there are.

    As `nc_bench.statistics.summarise` has it, for all epochs at once.
    """
    known = np.isfinite(table)
    counts = known.sum(0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        means = np.where(known, table, 0.0).sum(0) / counts
        squares = np.where(known, table - means, 0.0) ** 2
        errors = np.sqrt(squares.sum(0) / (counts - 1) / counts)
    halves = np.full(len(counts), np.nan)
    for count in set(counts[counts > 1].tolist()):
        of_count = counts == count
        halves[of_count] = t_interval(0.0, errors[of_count], count - 1)[1]
    return means, halves, counts


def _recorded(trials: list[str], data: SweepData, epochs: list[float]) -> NDArray[np.bool_]:
    """At which of the epochs any of the trials was recorded."""
    return np.isin(epochs, np.concatenate([data.curves[trial].epochs for trial in trials] or [np.empty(0)]))


def _columns(points: pd.DataFrame, columns: tuple[str, ...]) -> tuple[str, ...]:
    """All columns, or those with the fewest values that together make at most MOST_CELLS cells."""
    kept: list[str] = []
    for name in sorted(columns, key=lambda name: points[name].nunique()):
        if len(points[[*kept, name]].drop_duplicates()) <= MOST_CELLS:
            kept.append(name)
    return tuple(name for name in columns if name in kept)


def _at(one: Curves, name: str, epochs: list[float], places: NDArray[np.intp]) -> NDArray[np.float64]:
    """The values of a trial at these epochs, NaN where it was not recorded."""
    values = one.values.get(name)
    if values is None or not len(values):
        return np.full(len(epochs), np.nan)
    inside = np.minimum(places, len(values) - 1)
    return np.where(one.epochs[inside] == epochs, values[inside], np.nan)

"""The finished runs of a sweep as two tables: the last epoch of every run, and its curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nc_bench.runs.directory import MANIFEST
from nc_bench.runs.load import run_rows
from nc_bench.runs.manifest import read_manifest
from nc_bench.sweeps.comparison import step_of
from nc_bench.sweeps.folder import FINISHED, State, SweepFolder
from nc_bench.sweeps.grid import Grid
from nc_bench.sweeps.study import Measure, Study
from nc_bench.verdicts.judging import read_judged_run
from nc_bench.verdicts.rest import NOT_KNOWN, STATIONARITY, rest_of

PREDICTED_RISK = "predicted_risk"
"""A measure of a whole run: the risk that theory predicts for it (predictions.json)."""


def collect(grid: Grid, folder: SweepFolder, study: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(runs, curves) of all points of a grid.

    runs: a row per point: its cell's columns (missing ones ""), seed, trial, state, rest, and the study's
    measures at the last recorded epoch of the complete runs, NaN for all others; for a measure that is an epoch also
    the step of the record grid before it (`step_of`). curves: a row per point and recorded epoch: the cell's columns,
    seed, epoch and the measures that are recorded.
    """
    states = folder.states(grid.trials)
    read = {trial: _Trial(folder, trial, state, study.measures) for trial, state in states.items()}
    runs, curves = [], []
    for point in grid.points:
        cell = {column: point.cell.get(column, "") for column in grid.columns}
        trial = read[point.id]
        runs.append({**cell, "seed": point.seed, "trial": point.id, **trial.final})
        curves += [{**cell, "seed": point.seed, **row} for row in trial.curve]
    metrics = [name for name, measure in study.measures.items() if _is_recorded(measure)]
    return pd.DataFrame(runs), pd.DataFrame(curves, columns=[*grid.columns, "seed", "epoch", *metrics])


class _Trial:
    """What one run directory says, read once for all points that share it."""

    def __init__(self, folder: SweepFolder, trial: str, state: State, measures: Mapping[str, Measure]) -> None:
        path = folder.directory(trial)
        rows = run_rows(path, read_manifest(path / MANIFEST)).rows if state in FINISHED else []
        by_place: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
        for row in rows:
            by_place.setdefault((row["split"], row["layer"]), {})[row["epoch"]] = row
        train = by_place.get(("train", "penultimate"), {})
        self.curve: list[dict[str, Any]] = [{"epoch": epoch} for epoch in train]
        last: dict[str, float] = {}
        for name, measure in measures.items():
            if measure.metric == PREDICTED_RISK:
                last[name] = _predicted_risk(path) if rows else math.nan
                continue
            place = by_place.get((measure.split, measure.layer), {})
            values = [_number(place.get(row["epoch"], {}).get(measure.metric)) for row in self.curve]
            if measure.stays_above is not None:
                epochs = [row["epoch"] for row in self.curve]
                last[name], last[step_of(name)] = first_epoch_above(epochs, values, measure.stays_above)
                continue
            for row, value in zip(self.curve, values, strict=True):
                row[name] = value
            last[name] = values[-1] if values else math.nan
        complete = state is State.COMPLETE
        self.final = {
            "state": state.value,
            "rest": _rest(list(train.values())) if complete else NOT_KNOWN,
            **{name: value if complete else math.nan for name, value in last.items()},
        }


def _rest(train: Sequence[Mapping[str, Any]]) -> str:
    """What is known of whether a run is at rest, from its own rows."""
    residual = _number(train[-1].get(STATIONARITY)) if train else math.nan
    return rest_of(at_minimum=False, moved=NOT_KNOWN, residual=residual)


def first_epoch_above(epochs: Sequence[int], values: Sequence[float], border: float) -> tuple[float, float]:
    """The first recorded epoch from which on the values stay at the border or above, and how long before it the last
    recorded epoch is: it happened somewhere in between. Both NaN if the last value is below."""
    below = [index for index, value in enumerate(values) if not value >= border]
    first = below[-1] + 1 if below else 0
    if first == len(values):
        return math.nan, math.nan
    return float(epochs[first]), float(epochs[first] - epochs[first - 1]) if first else 0.0


def _is_recorded(measure: Measure) -> bool:
    return measure.metric != PREDICTED_RISK and measure.stays_above is None


def _predicted_risk(path: Path) -> float:
    """What theory predicts for the run's risk; NaN where it predicts none."""
    claims = read_judged_run(path).predictions
    return next(iter(claims["predicted"][claims["name"] == "risk"]), math.nan)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)

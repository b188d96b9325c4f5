"""The finished runs of a sweep as tables: the last epoch of every run, its curves, and what moves in longer twins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nc_bench.config import Config
from nc_bench.runs.directory import MANIFEST, class_column
from nc_bench.runs.load import run_rows
from nc_bench.runs.manifest import read_manifest
from nc_bench.sweeps.comparison import step_of
from nc_bench.sweeps.folder import FINISHED, State, SweepFolder
from nc_bench.sweeps.grid import Grid
from nc_bench.sweeps.study import PREDICTED_RISK, Measure, Study
from nc_bench.verdicts.claims import tolerance_of_measure
from nc_bench.verdicts.judging import expectations_of, is_at_minimum, read_judged_run
from nc_bench.verdicts.rest import NOT_KNOWN, STATIONARITY, per_doubling, rest_of, state_of_change, worst_of

SETTLED = ("measure", "value", "later", "change", "per_doubling", "rest")
"""Columns of what moves: a measure at T and in the longer twin, and whether it is at rest (`verdicts.rest`)."""


def collect(grid: Grid, folder: SweepFolder, study: Study) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """(runs, curves, settled) of all points of a grid.

    runs: a row per point: its cell's columns (missing ones ""), seed, trial, state, rest, and the study's
    measures at the last recorded epoch of the complete runs, NaN for all others; for a measure that is an epoch also
    the step of the record grid before it (`step_of`). curves: a row per point and recorded epoch: the cell's columns,
    seed, epoch and the measures that are recorded. settled: a row per complete point whose longer twin is complete too,
    and recorded measure: the cell's columns, seed, and SETTLED.
    """
    states = folder.states(grid.trials)
    read = {trial: _Trial(folder, trial, state, study.measures, grid.trials[trial]) for trial, state in states.items()}
    runs, curves, settled = [], [], []
    for point in grid.points:
        cell = {column: point.cell.get(column, "") for column in grid.columns}
        trial = read[point.id]
        twin = read[point.twin[0]] if point.twin is not None else None
        changes = _changes(trial, twin, study.measures, grid.sweep.settled)
        settled += [{**cell, "seed": point.seed, **change} for change in changes]
        rest = trial.rest(worst_of(change["rest"] for change in changes))
        runs.append({**cell, "seed": point.seed, "trial": point.id, "rest": rest, **trial.final})
        curves += [{**cell, "seed": point.seed, **row} for row in trial.curve]
    metrics = [name for name, measure in study.measures.items() if measure.is_recorded]
    return (
        pd.DataFrame(runs),
        pd.DataFrame(curves, columns=[*grid.columns, "seed", "epoch", *metrics]),
        pd.DataFrame(settled, columns=[*grid.columns, "seed", *SETTLED]),
    )


def _changes(
    trial: _Trial, twin: _Trial | None, measures: Mapping[str, Measure], times: int | None
) -> list[dict[str, Any]]:
    """What every recorded measure is in a trial and in its twin; nothing unless both are complete."""
    if twin is None or times is None or not (trial.complete and twin.complete):
        return []
    found = []
    for name, measure in measures.items():
        if not measure.is_recorded:
            continue
        value, later = float(trial.final[name]), float(twin.final[name])
        is_claimed = (measure.split, measure.layer) == ("train", "penultimate")
        tolerance = tolerance_of_measure(measure.metric, later, is_claimed=is_claimed)
        numbers = (name, value, later, later - value, per_doubling(value, later, times))
        found.append(dict(zip(SETTLED, (*numbers, state_of_change(value, later, tolerance)), strict=True)))
    return found


class _Trial:
    """What one run directory says, read once for all points that share it."""

    def __init__(
        self, folder: SweepFolder, trial: str, state: State, measures: Mapping[str, Measure], config: Config
    ) -> None:
        path = self.path = folder.directory(trial)
        manifest = read_manifest(path / MANIFEST) if state in FINISHED else {}
        rows = run_rows(path, manifest).rows if manifest else []
        by_place = rows_by_place(rows)
        train = by_place.get(("train", "penultimate"), {})
        self.curve: list[dict[str, Any]] = [{"epoch": epoch} for epoch in train]
        last: dict[str, float] = {}
        for name, measure in measures.items():
            if measure.metric == PREDICTED_RISK:
                last[name] = predicted_risk(path) if rows else math.nan
                continue
            place = by_place.get((measure.split, measure.layer), {})
            values = [measured(place.get(row["epoch"], {}), measure) for row in self.curve]
            if measure.stays_above is not None:
                epochs = [row["epoch"] for row in self.curve]
                last[name], last[step_of(name)] = first_epoch_above(epochs, values, measure.stays_above)
                continue
            for row, value in zip(self.curve, values, strict=True):
                row[name] = value
            last[name] = values[-1] if values else math.nan
        complete = self.complete = state is State.COMPLETE
        self.residual = _number(list(train.values())[-1].get(STATIONARITY)) if train else math.nan
        expected = expectations_of(config, manifest) if complete else []
        self.is_proved = any(expectation.proved and not expectation.not_applicable for expectation in expected)
        self.final: dict[str, Any] = {
            "state": state.value,
            **{name: value if complete else math.nan for name, value in last.items()},
        }

    def rest(self, moved: str) -> str:
        """What is known of whether the run is at rest; `moved`: what its measures and those of its twin say."""
        if not self.complete:
            return NOT_KNOWN
        at_minimum = self.is_proved and is_at_minimum(read_judged_run(self.path))
        return rest_of(at_minimum=at_minimum, moved=moved, residual=self.residual)


def rows_by_place(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], dict[int, Mapping[str, Any]]]:
    """The rows of a run by (split, layer), and there by epoch."""
    by_place: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        by_place.setdefault((row["split"], row["layer"]), {})[row["epoch"]] = row
    return by_place


def first_epoch_above(epochs: Sequence[int], values: Sequence[float], border: float) -> tuple[float, float]:
    """The first recorded epoch from which on the values stay at the border or above, and how long before it the last
    recorded epoch is: it happened somewhere in between. Both NaN if the last value is below."""
    below = [index for index, value in enumerate(values) if not value >= border]
    first = below[-1] + 1 if below else 0
    if first == len(values):
        return math.nan, math.nan
    return float(epochs[first]), float(epochs[first] - epochs[first - 1]) if first else 0.0


def predicted_risk(path: Path) -> float:
    """What theory predicts for the run's risk; NaN where it predicts none."""
    claims = read_judged_run(path).predictions
    return next(iter(claims["predicted"][claims["name"] == "risk"]), math.nan)


def measured(row: Mapping[str, Any], measure: Measure) -> float:
    """What a row says of the measure; NaN where it, or one of its classes, has no number."""
    if measure.classes is None:
        return _number(row.get(measure.metric))
    numbers = [_number(row.get(class_column(measure.metric, label))) for label in measure.classes]
    return math.fsum(numbers) / len(numbers)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)

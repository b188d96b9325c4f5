"""A study answered before its runs, from made-up ones, so that a rule that does not fit its grid is found in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from nc_bench.errors import UserError
from nc_bench.sweeps.collect import SETTLED
from nc_bench.sweeps.comparison import step_of
from nc_bench.sweeps.grid import Grid, Point
from nc_bench.sweeps.outcome import Outcome, answered
from nc_bench.sweeps.study import Matched
from nc_bench.text import one_line
from nc_bench.verdicts.rest import AT_REST

MANY = 1000
"""Points of a grid from which on only the last epoch is made up."""

USUAL = 0.96
LUCK = 1e-4

Cell = Mapping[str, Any]
Measured = Callable[[Cell, int], Mapping[str, float]]
"""What a run in a cell of the grid measures after an epoch, where that is not USUAL."""


def problems_of_the_answer(grid: Grid) -> Iterator[str]:
    """A line where the rule of the study fails on runs of this grid: a measure that the study does not declare, arms
    or columns that the grid has not."""
    study = grid.study
    if study.answer is None:
        return
    matched = {} if study.match is None else {study.match.measure: _inside(study.match)}
    try:
        answered(made_outcome(grid, lambda cell, epoch: matched))
    except UserError as error:
        yield str(error).removeprefix("study.")
    except KeyError as error:
        yield f"answer: {study.answer} needs {error}, which is no measure of the study and no column or arm of its grid"
    except Exception as error:  # whatever a rule does that was made for another grid
        yield f"answer: {study.answer} does not fit this grid: {type(error).__name__}: {one_line(error)}"


def made_outcome(grid: Grid, measured: Measured) -> Outcome:
    """The outcome of a study whose runs measured what is given and else the same, up to a little luck."""
    study = grid.study
    runs, curves, settled = [], [], []
    places: dict[str, int] = {}
    for point in grid.points:
        cell = {column: point.cell.get(column, "") for column in grid.columns}
        # Luck that every cell has in another order, and none over all of its seeds.
        place = places.setdefault(str(cell), len(places))
        angles = 2 * np.pi * point.seed / len(grid.sweep.seed_list) + place + np.arange(len(study.measures))
        luck = 1 + LUCK * np.cos(angles)
        for epoch in _epochs(point, many=len(grid.points) >= MANY):
            given = measured(cell, epoch)
            values = {name: given.get(name, USUAL) * own for name, own in zip(study.measures, luck, strict=True)}
            curves.append({**cell, "seed": point.seed, "epoch": epoch, **values})
        steps = {step_of(name): 0.0 for name, measure in study.measures.items() if measure.stays_above is not None}
        state = {"trial": point.id, "state": "complete", "rest": "at rest"}
        runs.append({**cell, "seed": point.seed, **state, **values, **steps})
        if point.twin is not None and grid.sweep.settled is not None:
            later = measured(cell, grid.sweep.settled * point.config.training.epochs)
            settled += [
                {**cell, "seed": point.seed, **_moved(name, value, later.get(name, USUAL) * own)}
                for (name, value), own in zip(values.items(), luck, strict=True)
            ]
    return Outcome(
        study=study,
        runs=pd.DataFrame(runs),
        curves=pd.DataFrame(curves),
        columns=grid.columns,
        configs=grid.trials,
        settled=pd.DataFrame(settled),
        manifest={"samples": {"train": 1400}, "versions": {}, "device_name": "made up", "threads": 1},
    )


def _epochs(point: Point, *, many: bool) -> list[int]:
    last = point.config.training.epochs
    return [last] if many else sorted(point.config.record.recorded_epochs(last))


def _moved(measure: str, value: float, later: float) -> Cell:
    """The row of a measure of a run and its longer twin, which no longer moves."""
    numbers = (measure, value, later, later - value, 0.0, AT_REST)
    return dict(zip(SETTLED, numbers, strict=True))


def _inside(match: Matched) -> float:
    """A value well within what is matched."""
    if match.at_least is None:
        return 0.9 * match.at_most if match.at_most else -1.0
    return 1.1 * match.at_least if match.at_most is None else (match.at_least + match.at_most) / 2

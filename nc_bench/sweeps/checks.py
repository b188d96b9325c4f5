"""Checks, before anything is trained, that a study asks only for columns and measures that its grid has."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from nc_bench.config import ConfigError
from nc_bench.metrics.names import HEAD_NAMES, METRIC_NAMES
from nc_bench.runs.directory import PENULTIMATE
from nc_bench.sweeps.collect import PREDICTED_RISK
from nc_bench.sweeps.grid import Grid
from nc_bench.sweeps.labels import form_of, named
from nc_bench.sweeps.schema import RESERVED
from nc_bench.sweeps.studies import ANSWERS
from nc_bench.sweeps.study import Measure, Study
from nc_bench.text import did_you_mean, shown
from nc_bench.verdicts.rest import STATIONARITY

COLUMNS = ("objective", "learning_rate", "gradient_norm", STATIONARITY)
"""Columns of rows besides METRIC_NAMES that a study may ask for."""


def check_study(grid: Grid, path: Path) -> None:
    """Raises ConfigError, one `file: study.path: problem` a line, if the study does not fit its grid."""
    if grid.sweep.study is not None and (problems := list(_problems(grid.sweep.study, grid))):
        raise ConfigError("\n".join(f"{path}: study.{problem}" for problem in problems))


def _problems(study: Study, grid: Grid) -> Iterator[str]:
    yield from _unknown("answer", [study.answer], ANSWERS)
    for name, measure in study.measures.items():
        if name in RESERVED or name in grid.columns:
            yield f"measures.{name}: tables have a column '{name}' already; give it another name"
        yield from _unknown(f"measures.{name}.metric", [measure.metric], [*METRIC_NAMES, *COLUMNS, PREDICTED_RISK])
        yield from _unmeasured(f"measures.{name}", measure, grid)
    yield from _unknown("rows", study.rows, grid.columns)
    hidden = [column for column in grid.columns if column not in study.rows]
    if hidden and study.match is None:
        yield f"rows: {', '.join(hidden)} of the grid missing; name them, or say by match which of their values count"
    if study.match is not None:
        yield from _unknown("match.measure", [study.match.measure], study.measures)
        if study.match.at_most is None and study.match.at_least is None:
            yield "match: at_most or at_least missing"
    if study.compare is not None:
        yield from _unknown("compare.column", [study.compare.column], study.rows)
        values = list(dict.fromkeys(point.cell.get(study.compare.column, "") for point in grid.points))
        if form_of(study.compare.against) not in {form_of(value) for value in values}:
            yield f"compare.against: {shown(study.compare.against)} is not among {named(values)}"
    yield from _unknown("figure.measures", study.figure.measures, study.measures)
    yield from _unknown("figure.log_y", study.figure.log_y, study.figure.measures)
    wanted = {"curves": (), "lines": ("x",), "heat_map": ("x", "y")}[study.figure.kind]
    for key in wanted:
        column = getattr(study.figure, key)
        if column is None:
            yield f"figure.{key}: missing, {study.figure.kind} need it"
        else:
            yield from _unknown(f"figure.{key}", [column], grid.columns)


def _unmeasured(place: str, measure: Measure, grid: Grid) -> Iterator[str]:
    """Says where a layer is not recorded, or the metric is not measured at it."""
    if measure.layer == PENULTIMATE or measure.metric == PREDICTED_RISK:
        return
    recorded = [config.record.layers for config in grid.trials.values()]
    if not any(layers == "all" or measure.layer in layers for layers in recorded):
        yield f"{place}.layer: {measure.layer} given, which no trial records (record.layers)"
    elif measure.metric in HEAD_NAMES or measure.metric in COLUMNS:
        yield f"{place}.layer: {measure.layer} given, but {measure.metric} is measured at the {PENULTIMATE} layer only"


def _unknown(place: str, names: Collection[str], known: Collection[str]) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{place}: {name} given; {did_you_mean(name, known) or 'known are ' + ', '.join(known)}"

"""Checks, before anything is trained: plug-ins can be imported, and a study asks only for what its grid has."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import get_args

from nc_bench.config import ConfigError, plugins_of
from nc_bench.config.values import ClassQuantity
from nc_bench.metrics.names import HEAD_NAMES, METRIC_NAMES
from nc_bench.plugins import PluginError, is_plugin, load_plugin
from nc_bench.recording.depth import DEPTH_NAMES, HULLS, KERNEL
from nc_bench.runs.directory import CORRECT, PENULTIMATE
from nc_bench.sweeps.grid import Grid
from nc_bench.sweeps.labels import form_of, named
from nc_bench.sweeps.rehearsal import problems_of_the_answer
from nc_bench.sweeps.schema import RESERVED
from nc_bench.sweeps.studies import ANSWERS
from nc_bench.sweeps.study import COMPARISON, PREDICTED_RISK, STATEMENTS, Measure, Study
from nc_bench.text import did_you_mean, shown
from nc_bench.verdicts.rest import STATIONARITY

COLUMNS = ("objective", "learning_rate", "gradient_norm", STATIONARITY)
"""Columns of rows besides METRIC_NAMES that a study may ask for."""

CLASS_QUANTITIES: tuple[str, ...] = get_args(ClassQuantity)


def check_plugins(grid: Grid, path: Path) -> None:
    """Raises ConfigError, one line for each, if a plug-in of a trial cannot be imported."""
    problems: dict[str, None] = {}
    for plugin in dict.fromkeys(plugin for config in grid.trials.values() for plugin in plugins_of(config)):
        try:
            load_plugin(*plugin)
        except PluginError as error:
            problems[f"{path}: {error}"] = None
    if problems:
        raise ConfigError("\n".join(problems))


def check_study(grid: Grid, path: Path) -> None:
    """Raises ConfigError, one `file: study.path: problem` a line, if the study does not fit its grid.

    Its rule is tried too, on made-up runs: what it would only miss after all training is said now.
    """
    problems = list(_problems(grid.study, grid)) or list(problems_of_the_answer(grid))
    if problems:
        raise ConfigError("\n".join(f"{path}: study.{problem}" for problem in problems))


def _problems(study: Study, grid: Grid) -> Iterator[str]:
    if study.answer is not None and not is_plugin(study.answer):
        yield from _unknown("answer", [study.answer], [*ANSWERS, COMPARISON])
    yield from (problem.removeprefix("study.") for problem in study.plugin_problems("study"))
    yield from _unstated(study)
    for name, measure in study.measures.items():
        if name in RESERVED or name in grid.columns:
            yield f"measures.{name}: tables have a column '{name}' already; give it another name"
        own = {metric.column_name for config in grid.trials.values() for metric in config.record.metrics}
        every = (*METRIC_NAMES, *COLUMNS, *DEPTH_NAMES, PREDICTED_RISK, *sorted(own))
        known = every if measure.classes is None else CLASS_QUANTITIES
        yield from _unknown(f"measures.{name}.metric", [measure.metric], known)
        yield from _unmeasured(f"measures.{name}", measure, grid)
        yield from _unrequested(f"measures.{name}", measure, grid)
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
    yield from _problems_of_figure(study, grid)


def _unstated(study: Study) -> Iterator[str]:
    """Says what has to be said before the runs of a study that is decided; a comparison states its rule itself."""
    needed = {None: (), COMPARISON: ("question",)}.get(study.answer, STATEMENTS)
    for key in needed:
        if study.statements[key] is None:
            field = type(study).model_fields[key]
            yield f"{key}: missing ({(field.description or '').rstrip('.')}); an answer needs it said before its runs"


def _problems_of_figure(study: Study, grid: Grid) -> Iterator[str]:
    figure = study.drawn
    yield from _unknown("figure.measures", figure.measures, study.measures)
    yield from _unknown("figure.log_y", figure.log_y, figure.measures)
    wanted = {"curves": (), "lines": ("x",), "heat_map": ("x", "y")}[figure.kind]
    for key in wanted:
        column = getattr(figure, key)
        if column is None:
            yield f"figure.{key}: missing, {figure.kind} need it"
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


def _unrequested(place: str, measure: Measure, grid: Grid) -> Iterator[str]:
    """Says what has to be asked for in `record`, and some trial does not ask for."""
    records = [config.record for config in grid.trials.values()]
    if measure.classes is not None and not all(measure.metric in record.per_class for record in records):
        yield f"{place}.classes: needs record.per_class: [{measure.metric}] in every trial"
    if measure.split.endswith(CORRECT) and not all(record.correct_only for record in records):
        yield f"{place}.split: {measure.split} given, which needs record.correct_only: true in every trial"
    if measure.metric in (KERNEL, HULLS) and not all(getattr(record, measure.metric) for record in records):
        yield f"{place}.metric: {measure.metric} needs record.{measure.metric} in every trial"


def _unknown(place: str, names: Collection[str], known: Collection[str]) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{place}: {name} given; {did_you_mean(name, known) or 'known are ' + ', '.join(known)}"

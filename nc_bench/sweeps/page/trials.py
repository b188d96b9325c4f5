"""The trials of a sweep as arrays: the last value of every measure, and curves of those that are drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from nc_bench.runs.directory import MANIFEST, PENULTIMATE
from nc_bench.runs.load import run_rows
from nc_bench.runs.manifest import read_manifest
from nc_bench.sweeps.collect import first_epoch_above, measured, predicted_risk, rows_by_place
from nc_bench.sweeps.comparison import step_of
from nc_bench.sweeps.folder import FINISHED, TRIALS, State, SweepFolder
from nc_bench.sweeps.load import SweepTables
from nc_bench.sweeps.page.measures import drawn_measures, further_measures
from nc_bench.sweeps.study import PREDICTED_RISK, Measure, Study

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Of one trial: its recorded epochs (E,), and by measure its values at them (E,), NaN where undefined."""

    epochs: Array
    values: dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class SweepData:
    """What the page of a sweep is made from.

    columns: of the grid, without the seed. measures: by the names that the page shows. points: a row for each point of
    the grid: the columns, seed, trial, state, and the measures at the last recorded epoch of complete trials, NaN for
    all others. of_study: which rows of points the study is asked of. curves: by trial. problems: by trial why it did
    not come to its end, where that is known.
    """

    path: Path
    study: Study | None
    answer: Mapping[str, Any] | None
    columns: tuple[str, ...]
    measures: dict[str, Measure]
    points: pd.DataFrame
    curves: dict[str, Curves]
    of_study: Sequence[int] = ()
    problems: dict[str, str] = field(default_factory=dict)


def read_sweep_data(tables: SweepTables) -> SweepData:
    """Read every finished trial once. RunError, one line, for a damaged one."""
    study = stored_study(tables.study)
    drawn = drawn_measures(study)
    states = dict(zip(tables.trials["trial"], map(State, tables.trials["state"]), strict=True))
    known: dict[str, Measure] = dict(drawn)
    last: dict[str, dict[str, float]] = {}
    curves: dict[str, Curves] = {}
    problems = dict(SweepFolder(tables.path).failures(states))
    finished = [trial for trial, state in states.items() if state in FINISHED]
    for trial in tqdm(finished, desc="reading trials", unit="trial", delay=2, disable=None, leave=False):
        path = tables.path / TRIALS / trial
        manifest = read_manifest(path / MANIFEST)
        places = rows_by_place(run_rows(path, manifest).rows)
        train = places.get(("train", PENULTIMATE), {})
        if train:
            known |= further_measures(train[max(train)], known)
        numbers, curves[trial] = _read(path, places, drawn, list(train))
        if states[trial] is State.COMPLETE:
            further = {name: measured(train[max(train)], known[name]) for name in known if name not in drawn and train}
            last[trial] = numbers | further
        else:
            problems[trial] = f"diverged after epoch {manifest.get('epochs_done', '?')}: its loss was no longer finite"
    columns = [name for name in tables.trials.columns if name not in ("seed", "trial", "state")]
    if not tables.has_grid:
        columns = _without_repetition(tables.trials, columns)
    numbers_of = pd.DataFrame([last.get(trial, {}) for trial in tables.trials["trial"]], dtype=np.float64)
    numbers_of = numbers_of.reindex(columns=[*known, *(name for name in numbers_of if name not in known)])
    kept = {name: measure for name, measure in known.items() if numbers_of[name].notna().any()}
    if study is not None:
        kept = dict(study.measures) | kept
    return SweepData(
        path=tables.path,
        study=study,
        answer=tables.answer,
        columns=tuple(columns),
        measures=kept,
        points=pd.concat([tables.trials, numbers_of], axis=1),
        curves=curves,
        of_study=tables.of_study,
        problems=problems,
    )


def _without_repetition(trials: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The columns but those that tell no trials apart which an earlier one does not tell apart, and the other way."""
    kept: dict[tuple[int, ...], str] = {}
    for name in columns:
        kept.setdefault(tuple(pd.factorize(trials[name].map(repr))[0]), name)
    return list(kept.values())


def stored_study(stored: Mapping[str, Any] | None) -> Study | None:
    """The study as the folder keeps it, without its rule, which may be a plug-in that is no longer there."""
    if stored is None:
        return None
    kept = {key: value for key, value in stored.items() if key not in ("arguments", "source")}
    return Study.model_validate({**kept, "answer": stored["answer"] and "kept"})


def _read(
    path: Path,
    places: Mapping[tuple[str, str], Mapping[int, Mapping[str, Any]]],
    measures: Mapping[str, Measure],
    epochs: Sequence[int],
) -> tuple[dict[str, float], Curves]:
    last: dict[str, float] = {}
    curves: dict[str, Array] = {}
    for name, measure in measures.items():
        if measure.metric == PREDICTED_RISK:
            last[name] = predicted_risk(path) if epochs else math.nan
            continue
        place = places.get((measure.split, measure.layer), {})
        values = [measured(place.get(epoch, {}), measure) for epoch in epochs]
        if measure.stays_above is not None:
            last[name], last[step_of(name)] = first_epoch_above(epochs, values, measure.stays_above)
        else:
            last[name] = values[-1] if values else math.nan
            curves[name] = np.array(values, np.float64)
    return last, Curves(epochs=np.array(epochs, np.float64), values=curves)


def curve_measures(data: SweepData) -> Iterator[str]:
    """The measures that any trial has a curve of."""
    for name in data.measures:
        if any(np.isfinite(one.values[name]).any() for one in data.curves.values() if name in one.values):
            yield name

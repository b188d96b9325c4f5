"""Reading the folder of a sweep: every row of every trial, with its place in the grid beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from nc_bench.config import ConfigError, flatten, load_config
from nc_bench.errors import SweepError
from nc_bench.paths import expanded
from nc_bench.runs.directory import CONFIG, MANIFEST
from nc_bench.runs.load import run_rows
from nc_bench.runs.manifest import read_manifest
from nc_bench.runs.rows import rows_to_frame
from nc_bench.sweeps.folder import BASE, TRIALS, State, SweepFolder
from nc_bench.sweeps.labels import label_of
from nc_bench.sweeps.schema import SEED
from nc_bench.text import listed, plain

STUDY_TABLE = Path("study") / "table.csv"
ANSWER = "answer.md"
"""The page of the answer, in the folder of a study's results."""


@dataclass(frozen=True, kw_only=True)
class SweepTables:
    """What the folder of a sweep holds.

    trials: a row for every point of the grid: arm and axes as columns ("" where a point has none), seed, trial (the
    name of its run directory in the folder `trials`) and state. study: the question and what was said about it before
    the runs, as the sweep file states it; None where none is asked. answer: what its rule made of the runs: headline,
    verdict, header and rows of its table, limits; None where it was not applied yet. has_grid: whether the columns are
    those of the sweep file, or else the settings in which the trials differ. of_study: the rows of trials that are
    points of the grid that the study is asked of: other grids may share the folder.
    """

    path: Path
    trials: pd.DataFrame
    study: Mapping[str, Any] | None
    answer: Mapping[str, Any] | None = None
    has_grid: bool = True
    of_study: Sequence[int] = ()

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Every row of every trial that has any, as `Run.rows`, after the columns of `trials` but the state.

        RunError, one line, for a damaged trial.
        """
        place = self.trials.drop(columns="state")
        frames = {trial: self._rows_of(trial) for trial in dict.fromkeys(place["trial"])}
        parts = []
        for _, point in place.iterrows():
            frame = frames[point["trial"]]
            if frame.empty:
                continue
            columns = pd.DataFrame({name: [value] * len(frame) for name, value in point.items()}, index=frame.index)
            parts.append(pd.concat([columns, frame.drop(columns=list(columns), errors="ignore")], axis=1))
        return pd.concat(parts, ignore_index=True) if parts else place[:0]

    @property
    def table(self) -> pd.DataFrame:
        """The study's table: mean, deviation and interval of every measure in every cell (study/table.csv).

        SweepError where no study is asked, or its results lie elsewhere (`--study-out`).
        """
        path = self.path / STUDY_TABLE
        if not path.is_file():
            raise SweepError(f"{path}: there is no such table; a sweep with a study writes it when its trials have run")
        return pd.read_csv(path)

    def __repr__(self) -> str:
        states = self.trials.drop_duplicates("trial")["state"]
        found = Counter(states)
        counts = listed([f"{found[state.value]} {state.value}" for state in State if found[state.value]], ", ")
        question = f"; {self.study['question']}" if self.study and self.study["question"] else ""
        columns = [str(name) for name in self.trials.columns if name not in ("trial", "state")]
        return plain(
            f"<Sweep {str(self.path)!r}: {counts or 'no'} of {len(states)} trials; by {listed(columns)}{question}>"
        )

    def _rows_of(self, trial: str) -> pd.DataFrame:
        path = self.path / TRIALS / trial
        if not (path / MANIFEST).is_file():
            return pd.DataFrame()
        return rows_to_frame(run_rows(path, read_manifest(path / MANIFEST)).rows)


def load_sweep(directory: Any) -> SweepTables:
    """Read the folder of a sweep (a path; `~` is the home folder), finished or not. Works without torch.

    Columns are those of the grids that were run there. Of a folder that keeps no grid they are the settings in which
    its trials differ, under their dotted keys.
    Raises SweepError (a ValueError), one line, if it is no folder of a sweep.
    """
    path = expanded(directory, error=SweepError)
    if not (path / BASE).is_file():
        raise SweepError(f"{path}: holds no sweep ({BASE} is looked for)")
    folder = SweepFolder(path)
    grids = folder.grids()
    columns = list(dict.fromkeys(name for grid in grids for name in grid["columns"]))
    points = [point for grid in grids for point in grid["points"]]
    if not grids:
        columns, points = _points_of_trials(path)
    rows = [_row(point, columns) for point in points]
    trials = pd.DataFrame(rows, columns=[*columns, SEED, "trial"]).drop_duplicates(ignore_index=True)
    states = folder.states(trials["trial"])
    trials["state"] = [states[trial].value for trial in trials["trial"]]
    newest = grids[-1] if grids else {}
    return SweepTables(
        path=path,
        trials=trials,
        study=newest.get("study"),
        answer=newest.get("answer"),
        has_grid=bool(grids),
        of_study=_places(trials, [_row(point, columns) for point in newest.get("points", ())]),
    )


def _row(point: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A point of a grid as a row of the table, "" where it has no value of a column."""
    cell = {name: point["cell"].get(name, "") for name in columns}
    return {**cell, SEED: point["seed"], "trial": point["trial"]}


def _places(trials: pd.DataFrame, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Where these rows stand in the table."""
    wanted = {repr(list(row.values())) for row in rows}
    columns = [name for name in trials.columns if name != "state"]
    given = trials[columns].to_dict("records")
    return [place for place, row in enumerate(given) if repr(list(row.values())) in wanted]


def _points_of_trials(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """The settings in which the trials of a folder differ, and their values in each."""
    found: dict[str, dict[str, Any]] = {}
    for config in sorted((path / TRIALS).glob(f"*/{CONFIG}")):
        try:
            found[config.parent.name] = dict(flatten(load_config(config)))
        except ConfigError as error:
            raise SweepError(str(error)) from None
    settings: Sequence[Mapping[str, Any]] = list(found.values())
    keys = list(dict.fromkeys(key for each in settings for key in each))
    values: dict[str, set[Hashable]] = {key: {each.get(key) for each in settings} for key in keys}
    columns = [key for key in keys if len(values[key]) > 1 and key != SEED]
    points = [
        {"cell": {key: label_of(each[key]) for key in columns if key in each}, "seed": each[SEED], "trial": trial}
        for trial, each in found.items()
    ]
    return columns, points

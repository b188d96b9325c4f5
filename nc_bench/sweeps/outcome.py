"""The results of a study, from finished runs: tables, a figure, and the sentence that answers its question."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from nc_bench.config import Config
from nc_bench.reports.style import png
from nc_bench.runs.directory import MANIFEST
from nc_bench.runs.files import write_bytes, write_text
from nc_bench.runs.manifest import read_manifest
from nc_bench.sweeps.collect import COLLAPSED_SHARE, collect
from nc_bench.sweeps.figures import study_figure
from nc_bench.sweeps.folder import FINISHED, State, SweepFolder
from nc_bench.sweeps.grid import Grid
from nc_bench.sweeps.statistics import at_best, cell_statistics, paired_differences
from nc_bench.sweeps.studies import ANSWERS
from nc_bench.sweeps.studies.evidence import Evidence
from nc_bench.sweeps.study import Study
from nc_bench.sweeps.tables import latex_table, markdown_table
from nc_bench.text import markdown, plain
from nc_bench.verdicts.convergence import DEFINITION


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The runs of a study and everything that follows from them.

    runs, curves: see `collect`. manifest: of the first trial that has one, else empty.
    """

    study: Study
    runs: pd.DataFrame
    curves: pd.DataFrame
    columns: tuple[str, ...]
    configs: Mapping[str, Config]
    manifest: Mapping[str, Any]

    @cached_property
    def selected(self) -> pd.DataFrame:
        """The runs that the rows of the table stand for."""
        best, over = self.study.best, [name for name in self.columns if name not in self.study.rows]
        if best is None:
            return self.runs
        largest = best.of == "max"
        return at_best(self.runs, self.study.rows, over, best.measure, largest=largest, number=best.number)

    @cached_property
    def cells(self) -> pd.DataFrame:
        return cell_statistics(self.selected, self.study.rows, list(self.study.measures))

    @cached_property
    def grid_cells(self) -> pd.DataFrame:
        """Every setting of the grid, whether best or not."""
        return cell_statistics(self.runs, self.columns, list(self.study.measures))

    @cached_property
    def differences(self) -> pd.DataFrame:
        compare = self.study.compare
        if compare is None:
            return pd.DataFrame()
        others = [name for name in self.study.rows if name != compare.column]
        return paired_differences(self.selected, compare.column, compare.against, others, list(self.study.measures))


def write_study(grid: Grid, folder: SweepFolder, results: Path, command: str) -> str:
    """Write the study's results into a folder, and return the answer. Nothing is trained.

    Raises SweepError or RunError, one line, for damaged runs, and OSError where nothing can be written.
    """
    study = grid.sweep.study
    assert study is not None
    runs, curves = collect(grid, folder, study)
    outcome = Outcome(
        study=study,
        runs=runs,
        curves=curves,
        columns=grid.columns,
        configs=grid.trials,
        manifest=_first_manifest(grid, folder),
    )
    answer = answer_text(outcome)
    results.mkdir(parents=True, exist_ok=True)
    write_text(results / "table.md", _tables(outcome))
    write_text(results / "table.csv", outcome.grid_cells.to_csv(index=False, float_format="%.5g"))
    write_text(results / "table.tex", latex_table(outcome.cells, study.rows))
    if study.compare is not None:
        write_text(results / "differences.csv", outcome.differences.to_csv(index=False, float_format="%.6g"))
    write_bytes(results / "figure.png", png(study_figure(study, runs, curves)))
    write_text(results / "answer.md", _answer_page(outcome, answer, command))
    return f"{plain(answer)}\n{results}: table.md, table.csv, table.tex, figure.png, answer.md"


def answer_text(outcome: Outcome) -> str:
    """The sentence that answers the question, or why the runs do not answer it."""
    missing = outcome.runs[~outcome.runs["state"].isin([state.value for state in FINISHED])]
    if len(missing):
        states = ", ".join(f"{count} {state}" for state, count in Counter(missing["state"]).items())
        return f"No answer: {len(missing)} of {len(outcome.runs)} runs have not finished ({states})."
    chosen = outcome.selected
    if chosen.empty:
        return "No answer: no run completed."
    moving = chosen[~chosen["converged"]]
    if len(moving):
        rows = moving[list(outcome.study.rows)].astype(str).agg(", ".join, axis=1)
        where = "; ".join(f"{count} of {row}" for row, count in Counter(rows).items())
        return (
            f"No answer: {len(moving)} of the {len(chosen)} runs compared have not converged ({where}); "
            "the table shows what they had reached."
        )
    evidence = Evidence(
        study=outcome.study,
        cells=outcome.cells,
        differences=outcome.differences,
        runs=outcome.runs,
        configs=outcome.configs,
        samples=int(outcome.manifest["samples"]["train"]),
    )
    return ANSWERS[outcome.study.answer](evidence)


def _tables(outcome: Outcome) -> str:
    study = outcome.study
    parts = ["Mean ± standard deviation over seeds [95 % bootstrap interval of the mean], last epoch.\n"]
    if study.best is not None:
        largest = "largest" if study.best.of == "max" else "smallest"
        which = f"with the {largest} mean of {markdown(study.best.measure)}, of those that have converged"
        parts.append(f"Over the settings {which}, at most {study.best.number}, and seeds:\n")
        parts.append(markdown_table(outcome.cells, study.rows))
        parts.append("These settings, best first:\n")
        others = [name for name in outcome.columns if name not in study.rows]
        shown = [*study.rows, *others]
        parts.append(markdown_table(cell_statistics(outcome.selected, shown, list(study.measures)), shown))
        parts.append("Over all settings, mean ± standard deviation over settings and seeds:\n")
        parts.append(markdown_table(cell_statistics(outcome.runs, study.rows, list(study.measures)), study.rows))
    else:
        parts.append(markdown_table(outcome.cells, study.rows))
    if study.compare is not None:
        parts.append(f"Difference from {markdown(str(study.compare.against))} on the same seeds:\n")
        others = [study.compare.column, *(name for name in study.rows if name != study.compare.column)]
        parts.append(markdown_table(outcome.differences, others))
    return "\n".join(parts)


def _answer_page(outcome: Outcome, answer: str, command: str) -> str:
    study, runs = outcome.study, outcome.runs
    counts = ", ".join(f"{count} {state}" for state, count in Counter(runs["state"]).items())
    unconverged = int((~runs["converged"] & (runs["state"] == State.COMPLETE.value)).sum())
    lines = [
        f"# {markdown(study.question)}",
        "",
        markdown(answer),
        "",
        f"Limits: {markdown(study.limits)}",
        "",
        f"- Runs: {len(runs):,} ({counts}); {unconverged:,} of the complete ones have not converged.",
        f"- Converged: {DEFINITION}. "
        f"collapse_epoch: from when on simplex_efficiency stays at {COLLAPSED_SHARE} or above.",
        f"- Command: {_code(command)}",
        f"- Machine: {_machine(outcome.manifest)}",
    ]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """Text as Markdown's code, between more backticks than it holds in a row."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{plain(text)}{space}{fence}"


def _first_manifest(grid: Grid, folder: SweepFolder) -> dict[str, Any]:
    paths = (folder.directory(trial) / MANIFEST for trial in grid.trials)
    first = next((path for path in paths if path.exists()), None)
    return read_manifest(first) if first else {}


def _machine(manifest: Mapping[str, Any]) -> str:
    """Processor or GPU, threads and versions."""
    if not manifest:
        return "none"
    versions = ", ".join(f"{name} {number}" for name, number in manifest["versions"].items() if number)
    return f"{manifest['device_name']}, threads per worker: {manifest['threads']}, {versions}"

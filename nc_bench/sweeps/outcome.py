"""The results of a study, from finished runs: tables, a figure, and the answer that its decision rule gives."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import pandas as pd

from nc_bench.config import Config
from nc_bench.runs.directory import MANIFEST
from nc_bench.runs.files import write_bytes, write_text
from nc_bench.runs.manifest import read_manifest
from nc_bench.sweeps.collect import collect
from nc_bench.sweeps.comparison import cell_statistics, difference_table, matched_runs
from nc_bench.sweeps.folder import FINISHED, State, SweepFolder
from nc_bench.sweeps.grid import Grid
from nc_bench.sweeps.load import ANSWER
from nc_bench.sweeps.studies import rule_of
from nc_bench.sweeps.studies.evidence import Answer, Evidence
from nc_bench.sweeps.study import Matched, Study
from nc_bench.sweeps.tables import difference_markdown, digits, latex_table, markdown_table, text_table
from nc_bench.text import listed, markdown, plain
from nc_bench.verdicts.rest import AT_REST, DEFINITION, MOVING


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The runs of a study and everything that follows from them.

    runs, curves, settled: see `collect`. manifest: of the first trial that has one, else empty.
    """

    study: Study
    runs: pd.DataFrame
    curves: pd.DataFrame
    columns: tuple[str, ...]
    configs: Mapping[str, Config]
    manifest: Mapping[str, Any]
    settled: pd.DataFrame = field(default_factory=pd.DataFrame)

    @cached_property
    def selected(self) -> pd.DataFrame:
        """What the rows of the table stand for: the runs, or medians over matched settings, one per row and seed."""
        match, over = self.study.match, [name for name in self.columns if name not in self.study.rows]
        if match is None:
            return self.runs
        least, most = (
            default if end is None else end for end, default in ((match.at_least, -inf), (match.at_most, inf))
        )
        condition = self.runs[match.measure].between(least, most)
        return matched_runs(self.runs, self.study.rows, over, list(self.study.measures), condition)

    @cached_property
    def cells(self) -> pd.DataFrame:
        return cell_statistics(self.selected, self.study.rows, list(self.study.measures))

    @cached_property
    def grid_cells(self) -> pd.DataFrame:
        """Every setting of the grid, whether it matches or not."""
        return cell_statistics(self.runs, self.columns, list(self.study.measures))

    @cached_property
    def differences(self) -> pd.DataFrame:
        compare = self.study.compare
        if compare is None:
            return pd.DataFrame()
        others = [name for name in self.study.rows if name != compare.column]
        return difference_table(self.selected, compare.column, compare.against, others, list(self.study.measures))


def write_study(grid: Grid, folder: SweepFolder, results: Path, command: str) -> str:
    """Write tables and figure of a sweep into a folder, and return the answer of its study, if it asks for one, and
    where to look. Nothing is trained.

    Raises SweepError or RunError, one line, for damaged runs, and OSError where nothing can be written.
    """
    # What draws takes a while to import, and a rule that is only tried draws nothing.
    from nc_bench.reports.style import png
    from nc_bench.sweeps.figures import study_figure

    study = grid.study
    runs, curves, settled = collect(grid, folder, study)
    outcome = Outcome(
        study=study,
        runs=runs,
        curves=curves,
        columns=grid.columns,
        configs=grid.trials,
        manifest=_first_manifest(grid, folder),
        settled=settled,
    )
    answer = None if study.answer is None else answered(outcome)
    if answer is not None:
        folder.keep_answer(grid, _kept(answer))
    results.mkdir(parents=True, exist_ok=True)
    write_text(results / "table.md", _tables(outcome))
    write_text(results / "table.csv", outcome.grid_cells.to_csv(index=False, float_format="%.5g"))
    write_text(results / "table.tex", latex_table(outcome.cells, study.rows))
    if study.compare is not None:
        write_text(results / "differences.csv", outcome.differences.to_csv(index=False, float_format="%.6g"))
    if len(settled):
        write_text(results / "settled.csv", settled.to_csv(index=False, float_format="%.6g"))
    write_bytes(results / "figure.png", png(study_figure(study, runs, curves)))
    files = f"{results}: table.md, table.csv, table.tex, figure.png"
    if answer is None:
        return f"look at {files}"
    write_text(results / ANSWER, answer_page(outcome, answer, command))
    return f"{plain(headline(answer))}\n{files}, {ANSWER}"


def answered(outcome: Outcome) -> Answer | str:
    """What the study's decision rule makes of the runs, or one line that says why there is no answer."""
    missing = outcome.runs[~outcome.runs["state"].isin([state.value for state in FINISHED])]
    if len(missing):
        states = ", ".join(f"{count} {state}" for state, count in Counter(missing["state"]).items())
        return f"No answer: {len(missing)} of {len(outcome.runs)} runs have not finished ({states})."
    if outcome.selected.empty:
        return "No answer: no run completed, or none that matches."
    evidence = Evidence(
        study=outcome.study,
        cells=outcome.cells,
        differences=outcome.differences,
        selected=outcome.selected,
        runs=outcome.runs,
        curves=outcome.curves,
        configs=outcome.configs,
        samples=int(outcome.manifest["samples"]["train"]),
        settled=outcome.settled,
    )
    return rule_of(outcome.study)(evidence)


def _kept(answer: Answer | str) -> dict[str, Any]:
    """What the sweep's page shows of the answer."""
    kept: dict[str, Any] = {"headline": headline(answer), "verdict": "", "header": [], "rows": [], "limits": []}
    if isinstance(answer, Answer):
        kept |= {"verdict": answer.verdict.value, "header": answer.header, "rows": answer.rows, "limits": answer.limits}
    return kept


def headline(answer: Answer | str) -> str:
    """The answer in one line, its verdict first."""
    return answer if isinstance(answer, str) else f"{answer.verdict.capitalize()}: {answer.headline}"


def _tables(outcome: Outcome) -> str:
    study = outcome.study
    seeds = int(outcome.cells["runs"].max()) if len(outcome.cells) else 0
    parts = [
        f"Mean ± standard deviation [95 % t interval of the mean] over n = {seeds} seeds where no other n is stated; "
        "last epoch.\n"
    ]
    if (outcome.cells["step"] > 0).any():
        parts.append("An interval of epochs includes the step of the record grid before them.\n")
    if study.match is not None:
        parts.append(f"For each seed the median over the settings with {markdown(_condition(study.match))}:\n")
    parts.append(markdown_table(outcome.cells, study.rows))
    if study.compare is not None:
        family = int(outcome.differences["p_value"].notna().sum())
        parts.append(
            f"Difference from {markdown(str(study.compare.against))} [95 % t interval], on the same seeds; p of the "
            f"t test by Holm's method for all {family} differences of this table:\n"
        )
        others = [study.compare.column, *(name for name in study.rows if name != study.compare.column)]
        parts.append(difference_markdown(outcome.differences, others))
    return "\n".join(parts)


def _condition(match: Matched) -> str:
    ends = [f"at least {match.at_least:g}"] * (match.at_least is not None)
    ends += [f"at most {match.at_most:g}"] * (match.at_most is not None)
    return f"{match.measure} {listed(ends)} in every seed"


def answer_page(outcome: Outcome, answer: Answer | str, command: str) -> str:
    """Headline, the table that the rule was applied to, limits; then what was said before the runs, and the runs."""
    study, runs = outcome.study, outcome.runs
    counts = ", ".join(f"{count} {state}" for state, count in Counter(runs["state"]).items())
    rests = Counter(runs["rest"][runs["state"] == State.COMPLETE.value])
    rest = ", ".join(f"{count:,} {state}" for state, count in sorted(rests.items()))
    table, limits = "", [study.limits] if study.limits else []
    if isinstance(answer, Answer):
        table, limits = text_table(answer.header, answer.rows), [*limits, *answer.limits]
    lines = [
        f"# {markdown(study.question or '')}",
        "",
        f"**{markdown(headline(answer))}**",
        "",
        *([table] if table else []),
        *([f"Limits: {' '.join(markdown(limit) for limit in limits)}", ""] if limits else []),
        *(f"- {key.replace('_', ' ').capitalize()}: {markdown(said)}" for key, said in study.before_the_runs.items()),
        f"- Runs: {len(runs):,} ({counts}); at rest or not, of the complete ones: {rest or 'none'}.",
        f"- {DEFINITION[:1].upper()}{DEFINITION[1:]}.",
        *([f"- {markdown(_movement(outcome.settled))}"] if len(outcome.settled) else []),
        f"- Command: {_code(command)}",
        f"- Machine: {_machine(outcome.manifest)}",
    ]
    return "\n".join(lines) + "\n"


def _movement(settled: pd.DataFrame) -> str:
    """How far every measure moves from the runs to their longer twins, over all of them."""
    parts = []
    for measure, own in settled.groupby("measure", sort=False):
        moving = int((own["rest"] == MOVING).sum())
        state = f"still moving in {moving:,} of {len(own):,}" if moving else AT_REST
        ends = f"from {digits(own['per_doubling'].min())} to {digits(own['per_doubling'].max())}"
        parts.append(f"{measure} {ends} ({state})")
    seeds = settled["seed"].nunique()
    return f"By how much measures go on moving in each doubling of the epochs, n = {seeds}: {'; '.join(parts)}."


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

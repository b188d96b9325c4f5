"""What of a sweep's page is text: the answer, how the trials ended, and the table of the cells."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from html import escape

import pandas as pd

from nc_bench.reports.page.markup import badge, html_cell, html_table
from nc_bench.sweeps.comparison import cell_statistics
from nc_bench.sweeps.folder import State
from nc_bench.sweeps.outcome import Outcome
from nc_bench.sweeps.page.measures import table_measures
from nc_bench.sweeps.page.trials import SweepData
from nc_bench.sweeps.tables import digits, written
from nc_bench.text import listed

MOST_CELLS = 200
MOST_OPEN = 40
"""Rows of a table that is not folded away."""
MOST_PROBLEMS = 50

KINDS = {"supported": "holds", "refuted": "fails", "undecided": "not-reached"}
"""The colours of the answers."""

NO_ANSWER = (
    "The rule of this study has not been applied yet: the command of the sweep, given again, applies it to the trials "
    "that have finished."
)


def what_it_is(data: SweepData) -> str:
    """One line: how many trials, by which columns."""
    by = listed([*data.columns, f"{data.points['seed'].nunique()} seeds"])
    return f"A sweep of {data.points['trial'].nunique():,} trials by {by}."


def answer_section(data: SweepData) -> list[str]:
    """The question, the headline with its verdict, the table that it was read from, limits; the plan, folded away."""
    study, answer = data.study, data.answer
    if study is None or study.question is None:
        return []
    parts = [f"<h2>{escape(study.question)}</h2>"]
    if study.answer is None:
        pass  # nothing is decided: the tables below are all
    elif answer is None:
        parts.append(f'<p class="said">{NO_ANSWER}</p>')
    else:
        kind, headline = answer["verdict"], answer["headline"]
        if kind in KINDS:
            rest = headline.partition(": ")[2] or headline
            parts.append(f'<p class="said">{badge(KINDS[kind], kind)} {escape(rest)}</p>')
            parts.append(_plain_table(answer["header"], answer["rows"]))
        else:
            parts.append(f'<p class="said">{escape(headline)}</p>')
    if limits := " ".join([*filter(None, [study.limits]), *(answer["limits"] if answer else ())]):
        parts.append(f"<p>Limits: {escape(limits)}</p>")
    plan = {key.replace("_", " ").capitalize(): said for key, said in study.before_the_runs.items()}
    if plan:
        lines = "".join(f"<dt>{what}</dt><dd>{escape(text)}</dd>" for what, text in plan.items())
        parts.append(f"<details><summary>What was said before the runs</summary><dl>{lines}</dl></details>")
    return parts


def _plain_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f'<tr><th scope="row">{escape(row[0])}</th>{"".join(map(html_cell, row[1:]))}</tr>' for row in rows]
    return html_table(header, lines, label="What the answer was read from")


def states(data: SweepData) -> list[str]:
    """How many trials ended how, in boxes."""
    counts = Counter(data.points.drop_duplicates("trial")["state"])
    boxes = [
        f"<div><b>{counts[state.value]:,}</b><span>{_words(state)}</span></div>"
        for state in State
        if counts[state.value]
    ]
    return ['<section class="glance" aria-label="Trials">', *boxes, "</section>"]


def _words(state: State) -> str:
    return {State.STARTED: "not finished", State.PENDING: "not started"}.get(state, state.value)


def problem_list(data: SweepData) -> list[str]:
    """The trials that did not come to their end, and why, folded away."""
    told = [(trial, why) for trial, why in data.problems.items()]
    if not told:
        return []
    rows = [
        f'<tr><th scope="row">{escape(trial)}</th>{html_cell(why, "words")}</tr>' for trial, why in told[:MOST_PROBLEMS]
    ]
    more = f"<p>And {len(told) - MOST_PROBLEMS:,} more.</p>" if len(told) > MOST_PROBLEMS else ""
    table = html_table(("trial", "why"), rows, words=("why",))
    return [f"<details><summary>{len(told):,} trials that failed or diverged</summary>{table}{more}</details>"]


def cell_table(data: SweepData, outcome: Outcome | None) -> list[str]:
    """Mean, standard deviation and interval in every cell of the table."""
    measures = table_measures(data.study, list(data.measures))
    by = list(outcome.study.rows) if outcome is not None else list(data.columns)
    if outcome is not None:
        cells = outcome.cells
    else:
        few = data.points.merge(data.points[by].drop_duplicates()[:MOST_CELLS]) if by else data.points
        cells = cell_statistics(few, by, measures)
    if cells.empty or not measures:
        return ['<p class="empty">No trial has finished.</p>']
    most = int(cells["runs"].max())
    rows = [
        f"<tr>{''.join(_label(value, at) for at, value in enumerate(labels))}"
        f"{''.join(_statistic(row, most) for _, row in group.iterrows())}</tr>"
        for labels, group in _by_cell(cells, by)
    ]
    total = len(data.points[by].drop_duplicates()) if by else 1
    left = f" The first {len(rows)} of {total:,} settings." if outcome is None and total > MOST_CELLS else ""
    about = (
        f"Mean ± standard deviation [95 % t interval of the mean] of the complete trials, n = {most} where no other n "
        f"is stated, at their last recorded epoch.{left}{_matching(outcome)}"
    )
    table = html_table((*by, *measures), rows, "cells", words=by, label="Cells")
    if len(rows) > MOST_OPEN:
        table = f"<details><summary>{len(rows)} settings</summary>{table}</details>"
    return [f"<p>{escape(about)}</p>", table]


def _matching(outcome: Outcome | None) -> str:
    if outcome is None or outcome.study.match is None:
        return ""
    return " For each seed it is the median over the settings that the study matches."


def _by_cell(cells: pd.DataFrame, by: Sequence[str]) -> list[tuple[tuple[str, ...], pd.DataFrame]]:
    found: dict[tuple[str, ...], list[int]] = {}
    for place, row in enumerate(cells[list(by)].itertuples(index=False, name=None)):
        found.setdefault(tuple(map(written, row)), []).append(place)
    return [(labels, cells.iloc[places]) for labels, places in found.items()]


def _label(value: str, at: int) -> str:
    return f'<th scope="row">{escape(value)}</th>' if at == 0 else html_cell(value, "words")


def _statistic(row: pd.Series, most: int) -> str:
    fewer = f" (n = {row['runs']})" if 0 < row["runs"] < most else ""
    if math.isnan(row["std"]):
        return html_cell(f"{digits(row['mean'])}{fewer}")
    ends = f"[{digits(row['low'])}, {digits(row['high'])}]{fewer}"
    return f'<td>{digits(row["mean"])} ± {digits(row["std"])}<div class="soft">{ends}</div></td>'

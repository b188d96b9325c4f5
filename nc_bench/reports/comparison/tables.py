"""The tables of the comparison, with a column for each run: the runs, their settings, their verdicts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from itertools import groupby

from nc_bench.reports.claim_rows import GROUPS, footnotes, group_of
from nc_bench.reports.comparison.settings import Setting
from nc_bench.reports.numbers import number, percent
from nc_bench.reports.page.markup import badge, html_cell, html_table
from nc_bench.reports.queries import claim, last_value
from nc_bench.reports.sentence import ending, sentence
from nc_bench.runs import RunTables
from nc_bench.verdicts.judging import HOLDS, NOT_APPLICABLE

NO_CLAIM = "no such claim"
NOT_JUDGED = "not judged"


def overview(runs: Sequence[RunTables], names: Sequence[str]) -> str:
    """How each run ended, how many of its verdicts hold, and the numbers that are looked for first."""
    rows: dict[str, Callable[[RunTables], str]] = {
        "ended": _how_it_ended,
        "verdicts that hold": _held,
        "norm budget that became separation": lambda run: percent(last_value(run, "train", "simplex_efficiency"), 3),
        "risk, training samples": lambda run: number(last_value(run, "train", "risk")),
        "accuracy, training samples": lambda run: percent(last_value(run, "train", "accuracy"), 3),
        "accuracy, test samples": lambda run: percent(last_value(run, "test", "accuracy"), 3),
    }
    return _of_runs(
        "", names, [_row(what, [html_cell(tell(run), "words") for run in runs]) for what, tell in rows.items()]
    )


def _how_it_ended(run: RunTables) -> str:
    return ending(run) or f"complete, {run.manifest.get('epochs_done', 0)} epochs"


def _held(run: RunTables) -> str:
    counts = Counter(run.predictions["verdict"])
    judged = sum(counts.values()) - counts[NOT_APPLICABLE]
    return f"{counts[HOLDS]} of {judged}" if judged else NOT_JUDGED


def stories(runs: Sequence[RunTables], names: Sequence[str]) -> list[str]:
    """What happened in each run, in words, folded away."""
    said = [f"<dt>{escape(name)}</dt><dd>{escape(sentence(run))}</dd>" for run, name in zip(runs, names, strict=True)]
    return [f"<details><summary>What happened in each run</summary><dl>{''.join(said)}</dl></details>"]


def settings_table(settings: Sequence[Setting], names: Sequence[str]) -> str:
    """The keys that differ; a sentence where none does."""
    if not settings:
        return "<p>Nothing: the configurations are the same, and so are data and versions.</p>"
    rows = [
        _row(f"<code>{escape(one.key)}</code>", [html_cell(value, "words") for value in one.values], is_html=True)
        for one in settings
    ]
    return _of_runs("setting", names, rows)


def verdict_table(runs: Sequence[RunTables], names: Sequence[str]) -> str:
    """A row for each claim that any run has; in a cell the verdict, and what was measured and predicted."""
    order = list(GROUPS)
    claims = list(dict.fromkeys(name for run in runs for name in run.predictions["name"]))
    if not claims:
        return "<p>No claim has been judged: a run is judged when it ends.</p>"
    lines = []
    for group, members in groupby(sorted(claims, key=lambda name: order.index(group_of(name))), key=group_of):
        lines.append(f'<tr class="group"><th scope="rowgroup" colspan="{1 + len(runs)}">{escape(group)}</th></tr>')
        for name in members:
            words = next(found["claim"] for run in runs if (found := claim(run, name)))
            head = f"{escape(words)} <code>{escape(name)}</code>"
            lines.append(_row(head, [_verdict(run, name) for run in runs], is_html=True))
    return _of_runs("claim", names, lines, "claims")


def _verdict(run: RunTables, name: str) -> str:
    if run.predictions.empty:
        return html_cell(NOT_JUDGED, "words soft")
    row = claim(run, name)
    if not row:
        return html_cell(NO_CLAIM, "words soft")
    measured = "undefined" if math.isnan(row["measured"]) else number(row["measured"])
    predicted = "" if math.isnan(row["predicted"]) else f", predicted\u00a0{number(row['predicted'])}"
    return f'<td class="words">{badge(row["verdict"])}<div class="soft">{measured}{predicted}</div></td>'


def verdict_notes(runs: Sequence[RunTables], names: Sequence[str]) -> list[str]:
    """Why claims are not applicable or undefined in a run, where they are from, folded away."""
    found = []
    for run, name in zip(runs, names, strict=True):
        if notes := "".join(f"<li>{escape(note)}</li>" for note in footnotes(run)):
            head = f"<summary>Notes to the verdicts of {escape(name)}</summary>"
            found.append(f'<details>{head}<ul class="notes">{notes}</ul></details>')
    return found


def _row(head: str, cells: Sequence[str], *, is_html: bool = False) -> str:
    return f'<tr><th scope="row">{head if is_html else escape(head)}</th>{"".join(cells)}</tr>'


def _of_runs(first: str, names: Sequence[str], rows: Sequence[str], kind: str = "") -> str:
    return html_table((first, *names), rows, f"beside {kind}".strip(), words=names, label=first or "the runs")

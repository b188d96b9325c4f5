"""The page's tables: the verdict in a glance, every claim, the budget, the classes, and how the run was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from itertools import groupby
from typing import Any

import yaml

from nc_bench.reports.budget import WORDS, missing
from nc_bench.reports.claim_rows import ClaimRow, claim_rows, footnotes
from nc_bench.reports.class_rows import class_rows
from nc_bench.reports.glance import glance
from nc_bench.reports.numbers import number, percent
from nc_bench.reports.page.markup import badge, html_cell, html_table
from nc_bench.reports.queries import last_value
from nc_bench.runs import RunTables
from nc_bench.runs.directory import CONFIG
from nc_bench.verdicts.laws import PARTS

HEADER = ("claim", "verdict", "predicted", "measured", "deviation", "tolerance", "null", "source")
WORDY = {"claim", "verdict", "source"}

GLOSSARY = {
    "feature": "What the last linear layer is given for a sample: a vector.",
    "class mean": "The mean of the features of a class, here seen from the mean of all class means.",
    "regular simplex": "Points that are all equally far from each other: a triangle, a tetrahedron, and so on.",
    "collapse": "The features of each class become one point, and these points a regular simplex (NC1, NC2); the rows "
    "of the last layer W point at them (NC3), and a sample gets the class with the nearest mean (NC4).",
    "floor of the risk": "The smallest risk that features and a last layer of these norms can have.",
    "norm budget, efficiency": "How far apart classes can be at these norms, and the share of it that is reached.",
    "null": "What random directions give. A value is a sign of collapse only where it is far below.",
    "tolerance": "By how much a value may miss its prediction for the verdict to be that it holds.",
    "not reached": "The tolerance is missed, but the run may still be on its way.",
    "rounding": "A deviation no larger than what numbers of the run's precision leave.",
}


def glance_boxes(run: RunTables) -> list[str]:
    """How many of how many verdicts hold, the efficiency, and how far the run came."""
    seen = glance(run)
    if seen.judged or seen.others:
        others = " ".join(badge(verdict, f"{count} {verdict}") for verdict, count in seen.others.items())
        rest = f"<p>{others}</p>" if others else ""
        boxes = [f"<div><b>{seen.held} of {seen.judged}</b><span>verdicts hold</span>{rest}</div>"]
    else:
        boxes = ["<div><b>no verdict</b><span>a run is judged when it ends</span></div>"]
    boxes += [f"<div><b>{share}</b><span>{of}</span></div>" for share, of in seen.shares.values()]
    boxes.append(f"<div><b>{escape(seen.status)}</b><span>{escape(seen.epochs)}</span></div>")
    return ['<section class="glance" aria-label="Verdict">', *boxes, "</section>"]


def claims_table(run: RunTables) -> str:
    """Every claim with its verdict beside it, by group, and the footnotes."""
    rows = claim_rows(run)
    if not rows:
        return "<p>No claim has been judged: a run is judged when it ends.</p>"
    lines = []
    for group, members in groupby(rows, key=lambda row: row.group):
        lines.append(f'<tr class="group"><th scope="rowgroup" colspan="{len(HEADER)}">{escape(group)}</th></tr>')
        lines.extend(_claim(row) for row in members)
    notes = "\n".join(f"<li>{escape(note)}</li>" for note in footnotes(run))
    return f'{html_table(HEADER, lines, "claims", words=WORDY)}\n<ul class="notes">\n{notes}\n</ul>'


def _claim(row: ClaimRow) -> str:
    claim = f'<th scope="row">{escape(row.claim)} <code>{escape(row.name)}</code></th>'
    verdict = f'<td class="words">{badge(row.verdict)}</td>'
    numbers = (row.predicted, row.measured, row.deviation, row.tolerance, row.null)
    return f"<tr>{claim}{verdict}{''.join(map(html_cell, numbers))}{html_cell(row.source, 'words')}</tr>"


def budget_table(run: RunTables) -> list[str]:
    """The parts of the norm budget on both splits at the last recorded epoch; empty where it is not known."""
    splits = {split: lost for split in ("train", "test") if (lost := missing(run, split)).known}
    if not splits:
        return []
    titles = [f"{title}, {split}" for split in splits for title in ("efficiency", "share of what is missing", "nats")]
    rows = []
    shares = zip(*(lost.shares[-1] for lost in splits.values()), strict=True)
    for part, share_by_split in zip(PARTS, shares, strict=True):
        cells = [f'<th scope="row">{escape(WORDS[part])} <code>{escape(part)}</code></th>']
        for split, share in zip(splits, share_by_split, strict=True):
            efficiency, gap = (last_value(run, split, f"{kind}_{part}") for kind in ("efficiency", "gap"))
            cells += [html_cell(number(efficiency)), html_cell(percent(share, 3)), html_cell(number(gap))]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return [html_table(("lost to", *titles), rows, "budget")]


def class_tables(run: RunTables) -> list[str]:
    """A table of the classes of each split, under a heading; empty where none was kept."""
    parts = []
    for split in ("train", "test"):
        table = class_rows(run, split)
        if table is not None:
            most = f", the {len(table.rows)} of {table.classes} classes with the largest {table.by}"
            what = f"{'Training' if split == 'train' else 'Test'} samples{most * (len(table.rows) < table.classes)}"
            rows = [
                f'<tr><th scope="row">{escape(cells[0])}</th>{"".join(map(html_cell, cells[1:]))}</tr>'
                for cells in table.rows
            ]
            parts.append(f"<p>{what}.</p>\n{html_table(table.header, rows)}")
    return ["<h2>Class by class</h2>", *parts] if parts else []


def glossary() -> list[str]:
    """What the words of the page mean, a line each."""
    lines = "".join(f"<dt>{escape(word)}</dt><dd>{escape(meaning)}</dd>" for word, meaning in GLOSSARY.items())
    return ["<h2>Words</h2>", f"<dl>{lines}</dl>"]


def origin(run: RunTables) -> list[str]:
    """Configuration, manifest, seeds and the command that makes the run again, folded away."""
    facts = _flat({key: value for key, value in run.manifest.items() if key != "seeds"})
    again = f"nc-bench train --config {CONFIG} --out NEW_FOLDER"
    text = yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True)
    return [
        "<h2>How the run was made</h2>",
        f"<details><summary>Configuration</summary><pre>{escape(text)}</pre></details>",
        f"<details><summary>The command, in this folder, that makes it again</summary><pre>{again}</pre></details>",
        f"<details><summary>Seeds</summary>{_facts(_flat(run.manifest.get('seeds', {})))}</details>",
        f"<details><summary>Manifest</summary>{_facts(facts)}</details>",
    ]


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = [f'<tr><th scope="row">{escape(name)}</th>{html_cell(value, "words")}</tr>' for name, value in facts]
    return html_table(("entry", "value"), rows)


def _flat(content: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Every entry of nested mappings as its dotted name and its text, numbers rounded to what is read."""
    found = []
    for key, value in content.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            found.extend(_flat(value, f"{name}."))
        else:
            found.append((name, number(value, 5) if isinstance(value, float) else str(value)))
    return found

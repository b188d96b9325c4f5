"""One self-contained HTML page about a run."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from nc_bench.reports.budget import WORDS, budget_sentence, missing
from nc_bench.reports.claim_rows import HEADER, ClaimRow, claim_rows, footnotes
from nc_bench.reports.class_rows import class_rows
from nc_bench.reports.description import describe
from nc_bench.reports.numbers import number, percent
from nc_bench.reports.queries import last_value
from nc_bench.reports.sentence import sentence
from nc_bench.runs import RunTables
from nc_bench.runs.files import write_bytes
from nc_bench.text import BIDI, plain
from nc_bench.verdicts.laws import PARTS

PAGE = "report.html"

ABOUT = {
    "metric_curves": "The metrics over the epochs of training.",
    "budget": "What is missing of the norm budget over the epochs, and the shares of the six parts it is lost to.",
    "depth": "The metrics of each recorded layer at the last recorded epoch, from the input to the last layer.",
    "simplex_plane": "The features, projected on a plane in which the simplex is a regular polygon.",
}
"""What each figure shows, by the name of its file."""


STYLE = """
body { font: 16px/1.5 "Helvetica Neue", Arial, sans-serif; color: #222; background: #fff;
       max-width: 68rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.what { color: #5c5c5c; margin-top: .2rem; }
.said { font-size: 1.08rem; background: #f4f6f8; border-left: 4px solid #0072b2; padding: .8rem 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .86rem; width: 100%; }
th, td { padding: .28rem .6rem; text-align: right; vertical-align: top; font-variant-numeric: tabular-nums; }
th { border-bottom: 2px solid #222; } td { border-bottom: 1px solid #e4e4e4; white-space: nowrap; }
th:first-child, td:first-child, .words { text-align: left; white-space: normal; }
.group td { font-weight: 600; background: #fafafa; padding-top: .7rem; }
code { font-size: .92em; color: #5c5c5c; }
.verdict { white-space: nowrap; border-radius: .7rem; padding: .05rem .55rem; font-weight: 600; }
.holds { background: #d7f0e4; color: #00563b; } .fails { background: #fbdcd0; color: #8a2f00; }
.not-reached { background: #fdeec4; color: #6b4c00; } .not-applicable { background: #ececec; color: #555; }
.notes { font-size: .84rem; color: #444; padding-left: 1.1rem; }
figure { margin: 1.2rem 0 2rem; } img { max-width: 100%; height: auto; } figcaption { font-size: .9rem; color: #444; }
pre { background: #f6f6f6; padding: .8rem 1rem; font-size: .8rem; overflow-x: auto; }
@media print { .scroll, pre { overflow: visible; } }
"""


def write_page(run: RunTables, figures: Sequence[Path]) -> Path:
    """Write DIR/report.html: what happened, every claim with its verdict, the figures, configuration and manifest.

    `figures` are PNG files, which are put into the page: it holds no script and refers to nothing outside itself.
    OSError where it cannot be written.
    """
    body = [
        f"<h1>Run {escape(run.path.resolve().name)}</h1>",
        f'<p class="what">{escape(describe(run))}</p>',
        f'<p class="said">{escape(sentence(run))}</p>',
        "<h2>Predicted and measured</h2>",
        _claims(run),
        *_budget(run),
        *_classes(run),
        "<h2>Figures</h2>",
        *(_figure(number, path) for number, path in enumerate(figures, 1)),
        "<h2>How the run was made</h2>",
        _facts(_flat(run.manifest)),
        "<h2>Configuration</h2>",
        f"<pre>{escape(yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True))}</pre>",
    ]
    title = escape(plain(f"nc_bench: {run.path.resolve().name}"))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    path = run.path / PAGE
    # A character that turns the direction of writing would turn what stands beside it, too.
    content = "\n".join(body).translate(dict.fromkeys(map(ord, BIDI), "\ufffd"))
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>{head}\n<style>{STYLE}</style></head>\n<body>\n{content}\n'
        "</body>\n</html>\n"
    )
    # Names of folders and files need not be text.
    write_bytes(path, page.encode(errors="backslashreplace"))
    return path


def _claims(run: RunTables) -> str:
    rows = claim_rows(run)
    if not rows:
        return "<p>No claim has been judged: a run is judged when it ends.</p>"
    words = ("claim", "verdict", "source")
    header = "".join(_cell(name, "words" if name in words else "", "th") for name in HEADER)
    table_rows = [f"<tr>{header}</tr>"]
    for group, members in groupby(rows, key=lambda row: row.group):
        table_rows.append(f'<tr class="group"><td colspan="{len(HEADER)}">{escape(group)}</td></tr>')
        table_rows.extend(_row(row) for row in members)
    table = '<div class="scroll"><table>\n' + "\n".join(table_rows) + "\n</table></div>"
    notes = "\n".join(f"<li>{escape(note)}</li>" for note in footnotes(run))
    return f'{table}\n<ul class="notes">\n{notes}\n</ul>'


def _row(row: ClaimRow) -> str:
    numbers = (row.predicted, row.null, row.measured, row.deviation, row.tolerance)
    claim = f'<td class="words">{escape(row.claim)} <code>{escape(row.name)}</code></td>'
    kind = escape(row.verdict.replace(" ", "-"))
    verdict = f'<td class="words"><span class="verdict {kind}">{escape(row.verdict)}</span></td>'
    return f"<tr>{claim}{''.join(map(_cell, numbers))}{verdict}{_cell(row.source, 'words')}</tr>"


def _budget(run: RunTables) -> list[str]:
    """A table of the parts of the norm budget on both splits, under a heading; empty where it was not recorded."""
    splits = {split: lost for split in ("train", "test") if (lost := missing(run, split)).known}
    if not splits:
        return []
    titles = [f"{title}, {split}" for split in splits for title in ("efficiency", "share of what is missing", "nats")]
    rows = ["<tr>" + _cell("lost to", "words", "th") + "".join(_cell(title, "", "th") for title in titles) + "</tr>"]
    for part, share_by_split in zip(
        PARTS, zip(*(lost.shares[-1] for lost in splits.values()), strict=True), strict=True
    ):
        cells = [f'<td class="words">{escape(WORDS[part])} <code>{escape(part)}</code></td>']
        for split, share in zip(splits, share_by_split, strict=True):
            efficiency, gap = (last_value(run, split, f"{kind}_{part}") for kind in ("efficiency", "gap"))
            cells += [_cell(number(efficiency)), _cell(percent(share, 3)), _cell(number(gap))]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    table = '<div class="scroll"><table>\n' + "\n".join(rows) + "\n</table></div>"
    said = [f"<p>{escape(text)}</p>" for split in splits if (text := budget_sentence(run, split))]
    return ["<h2>Where the norm budget goes</h2>", *said, table]


def _classes(run: RunTables) -> list[str]:
    """A table of the classes of each split, under a heading; empty where none was kept."""
    parts = []
    for split in ("train", "test"):
        table = class_rows(run, split)
        if table is not None:
            most = f", the {len(table.rows)} of {table.classes} classes with the largest risk"
            what = f"{'Training' if split == 'train' else 'Test'} samples{most * (len(table.rows) < table.classes)}"
            header = "".join(_cell(name, "", "th") for name in table.header)
            rows = ["".join(_cell(cell) for cell in cells) for cells in table.rows]
            lines = "\n".join(f"<tr>{row}</tr>" for row in (header, *rows))
            parts.append(f'<p>{what}.</p>\n<div class="scroll"><table>\n{lines}\n</table></div>')
    return ["<h2>Class by class</h2>", *parts] if parts else []


def _cell(text: str, kind: str = "", tag: str = "td") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f"<{tag}{attribute}>{escape(text)}</{tag}>"


def _figure(number: int, path: Path) -> str:
    about = escape(ABOUT[path.stem])
    picture = base64.b64encode(path.read_bytes()).decode()
    image = f'<img alt="{about}" src="data:image/png;base64,{picture}">'
    return f"<figure>{image}<figcaption><b>Figure {number}.</b> {about}</figcaption></figure>"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = [f"<tr>{_cell(name)}{_cell(value, 'words')}</tr>" for name, value in facts]
    return '<div class="scroll"><table>\n' + "\n".join(rows) + "\n</table></div>"


def _flat(content: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Every entry of nested mappings as its dotted name and its text."""
    found = []
    for key, value in content.items():
        name = f"{above}{key}"
        found.extend(_flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, str(value))])
    return found

"""Puts the comparison of several runs together, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from nc_bench.reports.comparison.curves import Line, comparing_charts, lines_of
from nc_bench.reports.comparison.motion import side_by_side, side_by_side_section
from nc_bench.reports.comparison.names import short_names
from nc_bench.reports.comparison.settings import differing_settings
from nc_bench.reports.comparison.tables import overview, settings_table, stories, verdict_notes, verdict_table
from nc_bench.reports.description import describe, typed_config
from nc_bench.reports.page.charts import SAMPLES, Chart
from nc_bench.reports.page.document import PAGE
from nc_bench.reports.page.shell import NO_SCRIPT, html_page, link_to, source
from nc_bench.reports.page.tables import glossary
from nc_bench.runs import RunTables
from nc_bench.runs.files import write_bytes
from nc_bench.text import listed

SHARED_SCRIPTS = ("common.js", "geometry.js", "simplex.js", "player.js", "charts.js")
OWN_SCRIPT = "comparison.js"

ABOUT_CURVES = (
    "A line for each run, in its colour and dashes. Dotted levels are what random directions give, and for the risk "
    "the predicted minimum. Drag across a picture to see a part of the epochs, or press + on it; the cursor, or the "
    "arrow keys, tell the values, of a run that was not recorded at an epoch those of its last one before."
)


def write_comparison(runs: Sequence[RunTables], out: Path) -> Path:
    """Write the page that compares these runs, of different directories, to a file; its path.

    Needs no torch. RunError, one line, if a picture or a configuration of a run is damaged or of another version;
    OSError where the file cannot be written.
    """
    names = short_names([run.path for run in runs])
    lines = lines_of(names)
    charts = comparing_charts(runs, lines)
    side = side_by_side(runs)
    data = {
        "side": side,
        "charts": [chart.data() for chart in charts],
        "logEpochs": any(typed_config(run).record.every == "log" for run in runs),
    }
    title = f"{len(runs)} runs compared"
    body = [
        "<header>",
        f"<h1>{title}</h1>",
        f'<p class="what">{escape(listed(names))}</p>',
        "</header>",
        "<main>",
        NO_SCRIPT,
        overview(runs, names),
        *stories(runs, names),
        "<h2>What differs between their settings</h2>",
        settings_table(differing_settings(runs), names),
        *_switches(lines, runs, out),
        *side_by_side_section(side, names),
        "<h2>The curves</h2>",
        f"<p>{ABOUT_CURVES}</p>",
        f'<div class="controls"><button type="button" id="log-epochs" aria-pressed="{str(data["logEpochs"]).lower()}">'
        "Log epochs</button></div>",
        *_unmeasured(runs, names),
        *_charts(charts),
        "<h2>Predicted and measured</h2>",
        verdict_table(runs, names),
        *verdict_notes(runs, names),
        *glossary(),
        "</main>",
    ]
    scripts = [*map(source, SHARED_SCRIPTS), source(OWN_SCRIPT, __package__)]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, html_page(f"nc_bench: {title}", body, data, scripts))
    return out


def _switches(lines: Sequence[Line], runs: Sequence[RunTables], out: Path) -> list[str]:
    """The legend of all pictures, in which runs are switched on and off, with what each is and where its page lies."""
    entries = "".join(_entry(at, line, run, out) for at, (line, run) in enumerate(zip(lines, runs, strict=True)))
    buttons = "".join(
        f'<button type="button" data-choose="{split}" aria-pressed="false">{words} samples</button>'
        for split, words in SAMPLES.items()
    )
    return [
        "<h2>The runs</h2>",
        f'<ul class="runs">{entries}</ul>',
        f'<div class="controls" role="group" aria-label="Samples of the pictures and curves">{buttons}</div>',
    ]


def _entry(at: int, line: Line, run: RunTables, out: Path) -> str:
    name = f'<span class="name">{escape(line.name)}</span>'
    dashes = f' stroke-dasharray="{line.dash}"' if line.dash else ""
    stroke = (
        '<svg class="stroke" width="38" height="10" aria-hidden="true"><line x1="1" x2="37" y1="5" y2="5" '
        f'stroke-width="3"{dashes} style="stroke: var({line.colour})"/></svg>'
    )
    link = _link(run, out)
    return (
        f'<li><label class="run"><input type="checkbox" data-run-switch="{at}" checked>{stroke}{name}</label>'
        f'<span class="soft">{escape(describe(run))}{link}</span></li>'
    )


def _link(run: RunTables, out: Path) -> str:
    page = run.path / PAGE
    if not page.is_file():
        return ""
    return f' <a href="{escape(link_to(page, out))}">its page</a>'


def _unmeasured(runs: Sequence[RunTables], names: Sequence[str]) -> list[str]:
    without = [name for run, name in zip(runs, names, strict=True) if run.rows.empty]
    return [f"<p>Nothing was measured of {escape(listed(without))}.</p>"] if without else []


def _charts(charts: Sequence[Chart]) -> list[str]:
    parts = []
    for split in SAMPLES:
        figures = "\n".join(chart.figure() for chart in charts if chart.name.endswith(f"-{split}"))
        content = f'<div class="pair">{figures}</div>' if figures else '<p class="empty">Nothing was measured.</p>'
        parts.append(f'<div data-samples="{split}">{content}</div>')
    return parts

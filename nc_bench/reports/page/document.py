"""Puts the page together: what a reader looks for first stands first."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

from nc_bench.reports.budget import budget_sentence
from nc_bench.reports.description import describe, typed_config
from nc_bench.reports.page.charts import Chart, budget_charts, depth_data, metric_charts, singular_chart
from nc_bench.reports.page.motion import geometry_section, motion_data, motion_section
from nc_bench.reports.page.shell import NO_SCRIPT, html_page, source
from nc_bench.reports.page.tables import budget_table, claims_table, class_tables, glance_boxes, glossary, origin
from nc_bench.reports.pictures import pictures
from nc_bench.reports.queries import layer_names
from nc_bench.reports.sentence import sentence
from nc_bench.runs import RunTables
from nc_bench.runs.files import write_bytes
from nc_bench.text import plain

PAGE = "report.html"

SCRIPTS = ("common.js", "geometry.js", "simplex.js", "player.js", "charts.js", "matrices.js", "main.js")

TIME = re.compile(r"\d{4}-\d\d-\d\d-\d{6}(\.\d+)?")
"""A folder that `--out` named by the time; the folder above it has the name of the configuration."""


def write_page(run: RunTables, *, is_running: bool = False) -> Path:
    """Write DIR/report.html: name, verdict, the simplex in motion, curves, every claim, classes, and the origin.

    is_running: the page is loaded again every few seconds, by its own script, as long as nobody does anything on it.
    One file, which refers to nothing outside itself. RunError, one line, if a picture or a table of classes is damaged;
    OSError where it cannot be written.
    """
    recorded = pictures(run)
    motion = motion_data(run, recorded)
    budget, curves = budget_charts(run), [*metric_charts(run), *singular_chart(recorded)]
    layers = layer_names(run)
    depth = depth_data(run, layers)
    data = {
        "motion": motion,
        "charts": [chart.data() for chart in (*budget, *curves)],
        "depth": depth,
        "logEpochs": typed_config(run).record.every == "log",
        "reloadSeconds": RELOAD_SECONDS if is_running else None,
    }
    body = [
        "<header>",
        f"<h1>{escape(plain(name_of(run.path)))}</h1>",
        f'<p class="what">{escape(describe(run))}</p>',
        *([RELOADING] if is_running else []),
        "</header>",
        "<main>",
        *glance_boxes(run),
        f'<p class="said">{escape(sentence(run))}</p>',
        NO_SCRIPT,
        *motion_section(motion),
        *_budget(run, budget),
        "<h2>How the collapse went</h2>",
        f"<p>{ABOUT_CURVES}</p>",
        f'<div class="controls"><button type="button" id="log-epochs" aria-pressed="{str(data["logEpochs"]).lower()}">'
        "Log epochs</button></div>",
        _pair(curves),
        *geometry_section(motion),
        *_depth(depth),
        "<h2>Predicted and measured</h2>",
        claims_table(run),
        *class_tables(run),
        *glossary(),
        *origin(run),
        "</main>",
    ]
    path = run.path / PAGE
    write_bytes(path, html_page(f"nc_bench: {name_of(run.path)}", body, data, map(source, SCRIPTS)))
    return path


RELOAD_SECONDS = 5

RELOADING = (
    '<p class="soft">The run goes on, and this page is loaded again every few seconds while you do nothing here. '
    '<button type="button" id="reloading">Stop that</button></p>'
)

ABOUT_CURVES = (
    "Solid: training samples; dashed: test samples. The floor is the smallest risk that any features and last layer of "
    "the norms reached can have. Dotted levels are what random directions give: only what is far below is a simplex. "
    "At exact collapse all measures of NC1 to NC3 are 0 on the training samples. Drag across a picture to see a part "
    "of the run, or press + on it; the cursor, or the arrow keys, tell the values."
)


def name_of(path: Path) -> str:
    """The name of a run: that of its folder, and before one that is only a time, that of the configuration."""
    path = path.resolve()
    return f"{path.parent.name}, {path.name}" if TIME.fullmatch(path.name) and path.parent.name else path.name


def _pair(charts: list[Chart]) -> str:
    figures = "\n".join(chart.figure() for chart in charts)
    return f'<div class="pair">{figures}</div>'


def _budget(run: RunTables, charts: list[Chart]) -> list[str]:
    """Where the norm budget goes: in words, over the epochs, and as a table; empty where it was not recorded."""
    table = budget_table(run)
    if not (charts or table):
        return []
    said = [f"<p>{escape(text)}</p>" for split in ("train", "test") if (text := budget_sentence(run, split))]
    about = (
        "The norms of features and last layer are a budget, of which a regular simplex turns everything into "
        "separation of the classes: the efficiency is the share that this run turns into it. Six efficiencies multiply "
        "to it, one for each way to lose."
    )
    return ["<h2>Where the norm budget goes</h2>", f"<p>{about}</p>", *said, _pair(charts), *table]


def _depth(depth: dict[str, Any] | None) -> list[str]:
    if depth is None:
        return []
    options = "".join(f'<option value="{at}">{escape(m["words"])}</option>' for at, m in enumerate(depth["measures"]))
    return [
        "<h2>Layer by layer</h2>",
        "<p>Layers from the input's side (top) to the last, against the epochs, on the training samples: the "
        "stronger the colour, the nearer to collapse.</p>",
        '<figure id="depth-map" class="matrix"><div class="controls"><select aria-label="Measure">'
        f'{options}</select></div><div class="plot"></div><p class="soft" data-ends></p></figure>',
    ]

"""The figures of a run for a paper: each panel alone, in a column's width, with letters of the text's size."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nc_bench.reports.budget_areas import draw_areas, draw_total, known_budget
from nc_bench.reports.curves import DECISIONS, POINTS, RISK, SHARES, SIMPLEX, draw_panel
from nc_bench.reports.depth import PANELS, draw_layers, further
from nc_bench.reports.pictures import Picture, pictures
from nc_bench.reports.plane import View, draw_view, largest_reach, plane_views
from nc_bench.reports.queries import layer_names
from nc_bench.reports.style import INK, SMALL, TEXT, file_of
from nc_bench.runs import RunError, RunTables
from nc_bench.runs.directory import FIGURES
from nc_bench.runs.files import write_bytes

HEIGHT, FLAT, TALL = 0.8, 0.5, 0.85
"""Heights of a figure in its widths: of curves, of one curve without a legend, and of areas with six labels."""

DPI = 300

CHARACTERS, BELOW, LEGEND_LINE = 14.5, 0.5, 0.17
"""Letters of the labels' size in an inch; inches below a panel, and those of a line of the legend above it."""

TEXT_KEPT: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "nc_bench"}
"""TrueType in a PDF, where journals refuse matplotlib's Type 3; letters and not their outlines in an SVG."""

Draw = Callable[[Axes], None]


def write_paper_figures(run: RunTables, formats: Sequence[str], width: float) -> list[Path]:
    """Write what a run's figures show into DIR/figures/paper, a panel a file, named by what it shows; the paths.

    `width` inches wide, letters of 8 and 9 points, without title and caption, which a paper writes itself; the same run
    gives the same bytes. What was not recorded has no file.
    RunError, one line, for a damaged file of features or vertices that cannot be drawn; OSError where the folder cannot
    be written.
    """
    folder = run.path / FIGURES / "paper"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with matplotlib.rc_context(TEXT_KEPT):
        for name, height, draw in _panels(run):
            figure = Figure(figsize=(width, height * width), facecolor="white", layout="constrained")
            axes = figure.subplots()
            draw(axes)
            if not (axes.lines or axes.collections):
                continue
            _fit(figure, axes)
            for kind in formats:
                path = folder / f"{name}.{kind}"
                write_bytes(path, file_of(figure, kind, dpi=DPI))
                written.append(path)
    return written


def _panels(run: RunTables) -> Iterator[tuple[str, float, Draw]]:
    """Name, height in widths, and what draws it, of every figure that a run may have something for."""
    curves = {"risk": RISK, "nc1": POINTS, "nc2_nc3": SIMPLEX, "nc4": DECISIONS, "shares": SHARES}
    for name, panel in curves.items():
        yield name, HEIGHT, partial(draw_panel, run, panel=panel)
    for split, lost in known_budget(run).items():
        yield f"budget_missing_{split}", FLAT, partial(draw_total, run, lost=lost)
        yield f"budget_lost_to_{split}", TALL, partial(draw_areas, run, lost=lost)
    if len(layers := layer_names(run)) > 1:
        for panel in [*PANELS, *further(run)]:
            yield f"depth_{panel.metrics[0][0]}", HEIGHT, partial(draw_layers, run, panel=panel, layers=layers)
    if recorded := pictures(run):
        views = _views(run, recorded)
        for name, view in views.items():
            yield f"simplex_{name}", 1.0, partial(draw_view, view=view, reach=largest_reach(views.values()))


def _views(run: RunTables, recorded: Sequence[Picture]) -> dict[str, View]:
    try:
        return plane_views(run, recorded)
    except ValueError as error:
        raise RunError(f"{run.path}: {error}") from None


def _fit(figure: Figure, axes: Axes) -> None:
    """Labels in lines that fit, and the legend above, where it covers nothing."""
    entries = len(axes.get_legend_handles_labels()[1])
    room = figure.get_size_inches()[1] - BELOW - LEGEND_LINE * entries
    axes.set_ylabel(textwrap.fill(" ".join(axes.get_ylabel().split()), max(12, int(room * CHARACTERS))))
    if axes.lines:
        axes.set_xlabel(axes.get_xlabel() or "epoch", fontsize=TEXT, color=INK)
    if entries:
        figure.legend(loc="outside upper left", fontsize=SMALL, frameon=False, handlelength=1.6, labelspacing=0.25)

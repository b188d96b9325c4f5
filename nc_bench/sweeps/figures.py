"""The figure of a study: curves with bands, lines over a column, or heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, to_hex
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from nc_bench.reports import style
from nc_bench.sweeps.comparison import cell_statistics
from nc_bench.sweeps.study import Study
from nc_bench.sweeps.tables import digits
from nc_bench.text import listed

MIN_RATIO_FOR_LOG = 2
DASHES: tuple[LineStyleType, ...] = ("-", "--", ":", "-.")
MAX_WRITTEN = 48
"""Cells of a heat map up to which every cell says its number."""


LONGEST_NAME = 40
ROUNDING = 1e-9
LARGEST = 1e290
"""Largest value that is drawn, and one over the smallest of logarithmic colours."""

LEGEND_HANDLE, LEGEND_CHARACTER = 0.6, 0.07
"""Inches that an entry of a legend takes besides its words, and that a character of them takes."""


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """How a line looks, and what its colour and its dashes stand for."""

    hue: str
    colour: str
    dash: str
    pattern: LineStyleType


def study_figure(study: Study, runs: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """The figure that the study asks for, of its runs and curves (see `collect`)."""
    if study.drawn.kind == "heat_map":
        return _heat_maps(study, _drawable(study, runs))
    if study.drawn.kind == "lines":
        return _panels(study, _drawable(study, runs), str(study.drawn.x))
    return _panels(study, _drawable(study, curves), "epoch")


def _drawable(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """The table without the values that are too large for matplotlib, whose axes reach beyond what they show."""
    return table.assign(**{name: table[name].where(table[name].abs() <= LARGEST) for name in study.drawn.measures})


def _panels(study: Study, table: pd.DataFrame, x: str) -> Figure:
    """A panel per measure; a line per value of the other rows of the table: mean over seeds, and its interval."""
    measures = study.drawn.measures
    others = [column for column in study.rows if column != x]
    columns = min(len(measures), 2 if len(measures) in (2, 4) else 3)
    lines = -(-len(measures) // columns)
    if study.drawn.log_x:
        table = table[table[x] > 0]  # what cannot be shown is not to stretch the other axis
    strokes = _strokes(table[others].drop_duplicates() if others else pd.DataFrame(index=[0]))
    size = (4.1 * columns + 0.6, 3.1 * lines + 1.5)
    page, body = style.headed_figure(
        size, _title(study), study.question or "", _caption(study, "the 95 % t interval of the mean")
    )
    grid = body.subplots(lines, columns, squeeze=False)
    for axes, measure in zip(grid.flat, measures, strict=False):
        for label, stroke in strokes:
            chosen = table[(table[others] == label).all(axis=1)] if others else table
            _line(axes, chosen, x, measure, stroke)
        _finish(axes, study, x, measure)
    for axes in list(grid.flat)[len(measures) :]:
        axes.remove()
    if others and strokes:
        _legend(body, [stroke for _, stroke in strokes], size[0])
    return page


def _strokes(labels: pd.DataFrame) -> list[tuple[pd.Series, Stroke]]:
    """How the line of every row of labels looks: its colour says the first column, its dashes say the others."""
    hues, dashes = _words(labels.iloc[:, :1]), _words(labels.iloc[:, 1:])
    colours = dict(zip(dict.fromkeys(hues), map(to_hex, style.class_colours(len(set(hues)))), strict=True))
    patterns = dict(zip(dict.fromkeys(dashes), cycle(DASHES), strict=False))
    return [
        (label, Stroke(hue=hue, colour=colours[hue], dash=dash, pattern=patterns[dash]))
        for (_, label), hue, dash in zip(labels.iterrows(), hues, dashes, strict=True)
    ]


def _words(labels: pd.DataFrame) -> list[str]:
    """Names speak for themselves; numbers and truth values need their column's name."""
    return [
        ", ".join(value if isinstance(value, str) else f"{name}: {_tick(value).lower()}" for name, value in row.items())
        for _, row in labels.iterrows()
    ]


def _line(axes: Axes, table: pd.DataFrame, x: str, measure: str, stroke: Stroke) -> None:
    cells = cell_statistics(table, [x], [measure])
    cells = cells[cells["mean"].notna()].sort_values(x)
    places = cells[x].to_numpy(np.float64)
    marker = "o" if len(places) <= 12 else ""
    name = ", ".join(filter(None, (stroke.hue, stroke.dash)))
    (line,) = axes.plot(places, cells["mean"], color=stroke.colour, linestyle=stroke.pattern, label=_name(name))
    line.set(linewidth=1.6, marker=marker, markersize=3.5)
    axes.fill_between(places, cells["low"], cells["high"], color=stroke.colour, alpha=0.2, linewidth=0)


def _finish(axes: Axes, study: Study, x: str, measure: str) -> None:
    style.quiet(axes)
    axes.set_title(_name(measure), loc="left", fontsize=style.PANEL, fontweight="bold", color=style.INK)
    axes.set_xlabel(_name(x), fontsize=style.TEXT, color=style.INK)
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.lines] or [np.zeros(0)])
    if study.drawn.log_x and len(values):
        axes.set_xscale("log")
        style.logarithmic_ticks(axes.xaxis)
    if (
        measure in study.drawn.log_y
        and len(values)
        and bool((values > 0).all())
        and values.max() > MIN_RATIO_FOR_LOG * values.min()
    ):
        axes.set_yscale("log")
        style.logarithmic_ticks(axes.yaxis)
    axes.tick_params(which="both", labelsize=style.SMALL)


def _legend(body: SubFigure, strokes: Sequence[Stroke], width: float) -> None:
    """An entry for every colour, then one for every pattern of dashes if these say something."""
    colours = {stroke.hue: Line2D([], [], color=stroke.colour) for stroke in strokes}
    dashes = {stroke.dash: Line2D([], [], color=style.FAINT, linestyle=stroke.pattern) for stroke in strokes}
    entries = colours | {dash: line for dash, line in dashes.items() if dash}
    columns = int(width // (LEGEND_HANDLE + LEGEND_CHARACTER * max(len(_name(entry)) for entry in entries)))
    body.legend(
        list(entries.values()),
        [_name(entry) for entry in entries],
        loc="outside upper left",
        ncols=max(1, min(columns, len(entries))),
        fontsize=style.SMALL,
        frameon=False,
        handlelength=2.2,
    )


def _heat_maps(study: Study, runs: pd.DataFrame) -> Figure:
    """A row per measure, a column per row of the table; the mean over seeds and over the columns that are not shown."""
    x, y, measures = str(study.drawn.x), str(study.drawn.y), study.drawn.measures
    panels = runs[list(study.rows)].drop_duplicates()
    size = (2.2 * len(panels) + 1.6, 2.1 * len(measures) + 1.7)
    page, body = style.headed_figure(size, _title(study), study.question or "", _caption(study, ""))
    grid = body.subplots(len(measures), len(panels), squeeze=False)  # every panel may have decays of its own
    for line, measure in zip(grid, measures, strict=True):
        means = runs.groupby([*study.rows, x, y], sort=False)[measure].mean()
        norm = _norm(means, logarithmic=measure in study.drawn.log_y)
        for axes, (_, panel) in zip(line, panels.iterrows(), strict=True):
            image = _heat_map(axes, runs[(runs[list(study.rows)] == panel).all(axis=1)], x, y, measure, norm)
            axes.set_title(_name(", ".join(map(str, panel))), fontsize=style.TEXT, color=style.INK)
        line[0].set_ylabel(_name(y), fontsize=style.TEXT)
        bar = body.colorbar(image, ax=list(line), pad=0.01, aspect=12)
        bar.set_label(_name(measure), fontsize=style.TEXT)
        bar.ax.tick_params(labelsize=style.SMALL)
    for axes in grid[-1]:
        axes.set_xlabel(_name(x), fontsize=style.TEXT)
    return page


def _heat_map(axes: Axes, runs: pd.DataFrame, x: str, y: str, measure: str, norm: Normalize) -> Any:
    table = runs.pivot_table(index=y, columns=x, values=measure, aggfunc="mean", dropna=False).sort_index()
    values = np.ma.masked_invalid(table.to_numpy(np.float64))
    axes.set_facecolor(style.GRID)
    image = axes.imshow(values, origin="lower", aspect="auto", cmap="viridis", norm=norm)
    axes.set_xticks(range(len(table.columns)), [_name(_tick(value)) for value in table.columns], rotation=90)
    axes.set_yticks(range(len(table.index)), [_name(_tick(value)) for value in table.index])
    axes.tick_params(labelsize=style.SMALL - 1, length=2)
    if values.size <= MAX_WRITTEN:
        _write(axes, values, norm)
    return image


def _write(axes: Axes, values: np.ma.MaskedArray[Any, Any], norm: Normalize) -> None:
    for (row, column), value in np.ndenumerate(values.filled(np.nan)):
        if np.isfinite(value):
            dark = float(norm(value)) < 0.6
            axes.text(
                column, row, f"{value:.2g}", ha="center", va="center", fontsize=5, color="white" if dark else style.INK
            )


def _norm(means: pd.Series, *, logarithmic: bool) -> Normalize:
    values = means.to_numpy(np.float64)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return Normalize(0, 1)
    # Values that differ by rounding alone may have equal logarithms, whose norm would divide 0 by 0.
    if logarithmic and values.min() >= 1 / LARGEST and values.max() > (1 + ROUNDING) * values.min():
        return LogNorm(values.min(), values.max())
    return Normalize(values.min(), values.max())


def _tick(value: Any) -> str:
    return digits(value) if isinstance(value, float) else str(value)


def _name(text: str) -> str:
    """A name of columns, measures or labels in the figure."""
    return style.drawn(text, LONGEST_NAME)


def _title(study: Study) -> str:
    if study.answer is None:
        return f"Means by {listed(study.rows)}"
    return study.answer.rpartition(":")[2].replace("_", " ").capitalize()


def _caption(study: Study, band: str) -> str:
    seeds = f"Mean over the seeds{f'; the band is {band}' if band else ''}."
    grey = " Grey: no run completed." if study.drawn.kind == "heat_map" else ""
    averaged = " Settings that are not shown are averaged over." if study.match is not None else ""
    return f"{seeds}{averaged}{grey} {study.limits or ''}"

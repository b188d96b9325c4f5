"""The figure of a run that was recorded at depth: collapse, layer by layer."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nc_bench.reports.curves import LINE_WIDTHS, Panel
from nc_bench.reports.description import describe
from nc_bench.reports.queries import last_by_layer, last_row, layer_names
from nc_bench.reports.style import (
    INK,
    PANEL,
    SERIES,
    SMALL,
    TEXT,
    VERTICAL_RATIO,
    drawable,
    drawn,
    headed_figure,
    logarithmic_ticks,
    quiet,
)
from nc_bench.runs import RunTables

PANELS = (
    Panel(
        title="a   Are classes points? (NC1)",
        meaning="spread within classes /\ndistance between them",
        metrics=(("nc1_quotient", "variances"), ("nc1_cdnv", "pair by pair")),
        logarithmic=True,
    ),
    Panel(
        title="b   Are their means a simplex? (NC2)",
        meaning="distance from a regular simplex",
        metrics=(("nc2_equiangular", "angles"), ("nc2_equinorm", "norms")),
        logarithmic=True,
    ),
    Panel(
        title="c   Is the nearest mean the right one?",
        meaning="share (1 is best)",
        metrics=(("ncc_accuracy", "nearest mean"),),
        logarithmic=False,
    ),
)

LONGEST_NAME = 24

MOST_LEVEL_NAMES = 5
"""More layers than this have their names written upwards."""


def depth_profile(run: RunTables) -> Figure | None:
    """Three panels over the recorded layers at the last recorded epoch: NC1, NC2 with the level of random directions
    at each layer's width, and the accuracy of the nearest class mean; None if only one layer was recorded."""
    layers = layer_names(run)
    if len(layers) < 2:
        return None
    epoch = int(last_row(run, "train").get("epoch", 0))
    title = f"Collapse through the layers, {f'after epoch {epoch}' if epoch else 'before training'}"
    page, body = headed_figure((11, 5.2), title, describe(run), _caption(run))
    for axes, panel in zip(body.subplots(1, len(PANELS)), PANELS, strict=True):
        _draw(run, axes, panel, layers)
    return page


def _draw(run: RunTables, axes: Axes, panel: Panel, layers: list[str]) -> None:
    places = np.arange(len(layers))
    for (name, words), colour, width in zip(panel.metrics, SERIES, LINE_WIDTHS, strict=False):
        label: str | None = f"{words} ({name})"
        for split, line, faded in (("train", "-", 1.0), ("test", "--", 0.6)):
            values = last_by_layer(run, split, name)
            shown = drawable(values, logarithmic=panel.logarithmic)
            if shown.any():
                where = np.where(shown, values, np.nan)
                axes.plot(
                    places, where, line, label=label, color=colour, alpha=faded, linewidth=width, marker="o", ms=4
                )
                label = None
        null = _null(run, layers, name)
        if (shown := drawable(null, logarithmic=panel.logarithmic)).any():
            axes.plot(places, np.where(shown, null, np.nan), ":", color=colour, linewidth=1.2)
    quiet(axes)
    axes.set_title(panel.title, loc="left", fontsize=PANEL, fontweight="bold", color=INK, pad=34)
    axes.set_ylabel(panel.meaning + (" (log scale)" if panel.logarithmic else ""), fontsize=TEXT, color=INK)
    axes.set_xticks(places, [drawn(layer, LONGEST_NAME) for layer in layers])
    if len(layers) > MOST_LEVEL_NAMES:
        axes.tick_params("x", labelrotation=90)
    axes.set_xlim(-0.3, len(layers) - 0.7)
    if not axes.lines:
        axes.text(
            0.5, 0.5, "undefined, 0 or too large at every layer", transform=axes.transAxes, ha="center", fontsize=TEXT
        )
        return
    if panel.logarithmic:
        axes.set_yscale("log")
        logarithmic_ticks(axes.yaxis, most_ratio=VERTICAL_RATIO)
    legend = axes.legend(
        loc="lower left", bbox_to_anchor=(-0.01, 1.0), fontsize=SMALL, frameon=False, borderaxespad=0.2
    )
    legend.set_in_layout(False)  # it stands in the space that the title's pad leaves, and must not narrow the panel


def _null(run: RunTables, layers: list[str], name: str) -> NDArray[np.float64]:
    facts = run.manifest.get("layers", {})
    values = [facts.get(layer, {}).get("null", {}).get(name) for layer in layers]
    return np.array([math.nan if value is None else value for value in values], np.float64)


def _caption(run: RunTables) -> str:
    has_test = bool((run.rows["split"] == "test").any())
    parts = [
        "From left to right: the recorded layers from the input's side to the penultimate, whose features the last "
        "linear layer sees.",
        "Solid: training samples"
        + ("; dashed and faded: test samples (c: nearest mean of training samples)." * has_test or "."),
    ]
    if any(np.isfinite(_null(run, layer_names(run), name)).any() for name, _ in PANELS[1].metrics):
        parts.append("Dotted (b): random directions of the layer's width; only what is far below is a simplex.")
    parts.append("At exact collapse everything in a and b is 0.")
    return " ".join(parts)

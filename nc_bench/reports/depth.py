"""The figure of a run that was recorded at depth: collapse, layer by layer."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nc_bench.reports.curves import LINE_WIDTHS, Panel
from nc_bench.reports.description import describe
from nc_bench.reports.queries import last_by_layer, last_row, last_value, layer_names
from nc_bench.reports.style import (
    INK,
    SERIES,
    TEXT,
    VERTICAL_RATIO,
    drawable,
    drawn,
    head_panel,
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

SEPARATION = Panel(
    title="Does each layer separate alike?",
    meaning="spread within classes, by direction;\na straight line: the same factor a layer",
    metrics=(("nc1_pinv", "tr(S_W pinv S_B)/K"),),
    logarithmic=True,
)
ANGLES = Panel(
    title="Read by the next weight?",
    meaning="angle to its row space, in radians",
    metrics=(("next_weight_angle_mean", "mean"), ("next_weight_angle_largest", "largest")),
    logarithmic=False,
)
RANKS = Panel(
    title="How many directions count?",
    meaning="stable rank",
    metrics=(("stable_rank_within", "deviations"), ("stable_rank_next_weight", "next weight")),
    logarithmic=True,
)
FURTHER = (("equi_separation_slope", SEPARATION), ("next_weight_angle_mean", ANGLES), ("stable_rank_within", RANKS))
"""A panel that is drawn where its column was recorded: three layers, a linear layer that reads one, on request."""

LONGEST_NAME = 24

MOST_LEVEL_NAMES = 5
"""More layers than this have their names written upwards."""


def depth_profile(run: RunTables) -> Figure | None:
    """Panels over the recorded layers at the last recorded epoch, with the level of random directions at each layer's
    width: NC1, NC2, the accuracy of the nearest class mean, and where they were recorded equi-separation, angles to the
    next weight and stable ranks; None if only one layer was recorded."""
    layers = layer_names(run)
    if len(layers) < 2:
        return None
    panels = [*PANELS, *(replace(p, title=f"{at}   {p.title}") for at, p in zip("def", further(run), strict=False))]
    epoch = int(last_row(run, "train").get("epoch", 0))
    title = f"Collapse through the layers, {f'after epoch {epoch}' if epoch else 'before training'}"
    rows = 1 if len(panels) <= len(PANELS) else 2
    page, body = headed_figure((11, 1.6 + 3.6 * rows), title, describe(run), _caption(run))
    places = body.subplots(rows, len(PANELS), squeeze=False).flat
    for axes, panel in zip(places, panels, strict=False):
        draw_layers(run, axes, panel, layers)
        head_panel(axes, panel.title, columns=1)
    for axes in list(places)[len(panels) :]:
        axes.set_axis_off()
    return page


def further(run: RunTables) -> list[Panel]:
    """The panels beyond the first three that this run has recorded."""
    return [panel for name, panel in FURTHER if np.isfinite(last_by_layer(run, "train", name)).any()]


def draw_layers(run: RunTables, axes: Axes, panel: Panel, layers: list[str]) -> None:
    """The curves of a panel over the layers, on its scales; title and legend are the caller's."""
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
        parts.append("Dotted: random directions of the layer's width; only what is far below is a simplex.")
    if not math.isnan(slope := last_value(run, "train", "equi_separation_slope")):
        correlation = last_value(run, "train", "equi_separation_correlation")
        parts.append(
            f"Equi-separation: from layer to layer tr(S_W pinv S_B) is multiplied by {math.exp(slope):.3g} on average "
            f"(log: {slope:.3g} a layer, Pearson r {correlation:.3g}; the law is r = -1)."
        )
    parts.append("At exact collapse everything in a and b is 0.")
    return " ".join(parts)

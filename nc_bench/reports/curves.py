"""The first figure: the metrics over the epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nc_bench.reports.description import describe, typed_config
from nc_bench.reports.numbers import number
from nc_bench.reports.queries import claim, curve, null_value
from nc_bench.reports.style import (
    FAINT,
    INK,
    LARGEST,
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
from nc_bench.runs.directory import PENULTIMATE

FEW_POINTS = 12
"""Up to this many recorded epochs are marked one by one: a line through one point is invisible."""

LINE_WIDTHS = (2.0, 1.5, 1.1)
"""Later curves are thinner, so that curves on top of each other can all be seen."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: which metrics it shows, under which words, on which scale."""

    title: str
    meaning: str
    metrics: tuple[tuple[str, str], ...]
    logarithmic: bool


RISK = Panel(title="a   Risk", meaning="mean cross entropy", metrics=(("risk", "risk"),), logarithmic=True)
POINTS = Panel(
    title="b   Do the classes become points? (NC1)",
    meaning="spread within classes /\ndistance between them",
    metrics=(("nc1_quotient", "variances"), ("nc1_cdnv", "pair by pair"), ("nc1_pinv", "by direction")),
    logarithmic=True,
)
SIMPLEX = Panel(
    title="c   Do means and last layer form a simplex? (NC2, NC3)",
    meaning="distance from a regular simplex",
    metrics=(
        ("nc2_equiangular", "angles"),
        ("nc2_equinorm", "norms"),
        ("nc3_duality_centred", "last layer"),
    ),
    logarithmic=True,
)
SHARES = Panel(
    title="d   What comes of it",
    meaning="share (1 is best)",
    metrics=(
        ("simplex_efficiency", "norm budget used"),
        ("accuracy", "accuracy"),
        ("ncc_accuracy", "nearest mean"),
    ),
    logarithmic=False,
)


DECISIONS = Panel(
    title="e   Do decisions go by the nearest class mean? (NC4)",
    meaning="share decided otherwise",
    metrics=(("nc4_mismatch", "mismatch"),),
    logarithmic=False,
)


def metric_curves(run: RunTables) -> Figure:
    """Four panels of metrics over the epochs: risk with its minimum and floor, NC1, NC2 and NC3, and shares.

    Training solid, test dashed; dotted levels are what random directions give. A metric that was not recorded, or
    is undefined throughout, says so in its panel.
    """
    page, body = headed_figure((11, 8.6), "Collapse of the last layer during training", describe(run), _caption(run))
    for axes, panel in zip(body.subplots(2, 2).flat, (RISK, POINTS, SIMPLEX, SHARES), strict=True):
        draw_panel(run, axes, panel)
        head_panel(axes, panel.title, columns=2)
    return page


def draw_panel(run: RunTables, axes: Axes, panel: Panel) -> None:
    """The curves of a panel with what they are held against, on its scales; title and legend are the caller's.

    A metric that was not recorded, or is undefined throughout, says so; there are then no lines.
    """
    _curves(run, axes, panel)
    if panel is RISK:
        _risk_levels(run, axes)
    if panel is SIMPLEX:
        _nulls(run, axes)
    _scales(run, axes, panel)


def _curves(run: RunTables, axes: Axes, panel: Panel) -> None:
    for (name, words), colour, width in zip(panel.metrics, SERIES, LINE_WIDTHS, strict=False):
        label: str | None = words if words == name else f"{words} ({name})"
        for split, line, faded in (("train", "-", 1.0), ("test", "--", 0.6)):
            epochs, values = _drawable(run, split, name, panel.logarithmic)
            if len(values):
                marker = "o" if len(values) <= FEW_POINTS else ""
                look: dict[str, Any] = {
                    "color": colour,
                    "alpha": faded,
                    "linewidth": width,
                    "marker": marker,
                    "markersize": 3.5,
                }
                axes.plot(epochs, values, line, label=label, **look)
                label = None


def _drawable(
    run: RunTables, split: str, name: str, logarithmic: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    epochs, values = curve(run, split, name)
    keep = drawable(values, logarithmic=logarithmic)
    return epochs[keep], values[keep]


def _risk_levels(run: RunTables, axes: Axes) -> None:
    if not axes.lines:
        return
    epochs, floor = _drawable(run, "train", "risk_floor", True)
    if len(floor):
        axes.plot(epochs, floor, color=FAINT, linewidth=1, label="floor of the norms reached (risk_floor)")
    predicted = float(claim(run, "risk").get("predicted", math.nan))
    if drawable(np.array([predicted]), logarithmic=True).all():
        axes.axhline(predicted, color=INK, linewidth=1, linestyle="-.", label=f"predicted minimum {number(predicted)}")


def _nulls(run: RunTables, axes: Axes) -> None:
    for (name, _), colour in zip(SIMPLEX.metrics, SERIES, strict=True):
        level = null_value(run, name)
        if axes.lines and drawable(np.array([level]), logarithmic=True).all():
            axes.axhline(level, color=colour, linewidth=1.2, linestyle=":")


def _scales(run: RunTables, axes: Axes, panel: Panel) -> None:
    quiet(axes)
    axes.set_ylabel(panel.meaning + (" (log scale)" if panel.logarithmic else ""), fontsize=TEXT, color=INK)
    axes.set_xlabel("epoch", fontsize=TEXT, color=INK)
    if not axes.lines:
        axes.text(
            0.5, 0.5, drawn(why_empty(run, panel)), transform=axes.transAxes, ha="center", fontsize=TEXT, color=FAINT
        )
        axes.set_xticks([])
        axes.set_yticks([])
        return
    if panel.logarithmic:
        axes.set_yscale("log")
        logarithmic_ticks(axes.yaxis, most_ratio=VERTICAL_RATIO)
    if typed_config(run).record.every == "log" and _has_positive_epochs(axes):
        axes.set_xscale("log")


def _has_positive_epochs(axes: Axes) -> bool:
    return any((np.asarray(line.get_xdata()) > 0).any() for line in axes.lines)


def why_empty(run: RunTables, panel: Panel, splits: Sequence[str] = ("train", "test")) -> str:
    """Why a panel has no curve: nothing was measured, it is undefined, or beyond what an axis shows."""
    names = [name for name, _ in panel.metrics]
    if any(not np.isnan(curve(run, split, name)[1]).all() for name in names for split in splits):
        return f"0 or beyond {LARGEST:g}" if panel.logarithmic else f"beyond {LARGEST:g}"
    keys = [key for key in run.reasons if key[1:3] == (splits[0], PENULTIMATE) and key[3] in names]
    return f"undefined: {run.reasons[keys[-1]]}" if keys else "not measured"


def _caption(run: RunTables) -> str:
    has_test = bool((run.rows["split"] == "test").any()) if not run.rows.empty else False
    parts = ["Solid: training samples" + ("; dashed and faded: test samples." if has_test else ".")]
    if any(null_value(run, name) > 0 for name, _ in SIMPLEX.metrics):
        parts.append(
            "Dotted (c): the value of random directions in its colour; only what is far below it is a simplex."
        )
    parts.append("At exact collapse everything in b and c is 0 and everything in d is 1 on the training samples.")
    return " ".join(parts)

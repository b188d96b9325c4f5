"""The figure of the collapse budget: how much of it is missing, and what it is lost to, over the epochs."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nc_bench.reports.budget import SHORT, Array, Missing, missing
from nc_bench.reports.description import describe, typed_config
from nc_bench.reports.style import (
    FAINT,
    INK,
    PANEL,
    SIX,
    SMALL,
    TEXT,
    VERTICAL_RATIO,
    drawable,
    headed_figure,
    logarithmic_ticks,
    quiet,
)
from nc_bench.runs import RunTables
from nc_bench.verdicts.laws import PARTS

STEP = 0.135
"""Least distance of two labels, in heights of the panel."""

FEW_POINTS = 12


def budget_areas(run: RunTables) -> Figure | None:
    """Above, what is missing of the norm budget, -log simplex_efficiency; below, the shares of its six parts.

    A column for each split. Where an efficiency is not positive, the shares are those of risk_gap, in nats, and are
    drawn faded. None if the budget was not recorded.
    """
    known = known_budget(run)
    if not known:
        return None
    page, body = headed_figure((11, 6.6), "Where the norm budget goes", describe(run), _caption(known))
    grid = body.subplots(2, len(known), squeeze=False, height_ratios=(1, 2.4), sharex="col")
    for (split, lost), (above, below), letters in zip(known.items(), grid.T, ("ab", "cd"), strict=False):
        samples = "training samples" if split == "train" else "test samples"
        draw_total(run, above, lost)
        draw_areas(run, below, lost)
        for axes, title in ((above, f"{letters[0]}   Missing"), (below, f"{letters[1]}   What it is lost to")):
            axes.set_title(f"{title}, {samples}", loc="left", fontsize=PANEL, fontweight="bold", color=INK)
    return page


def known_budget(run: RunTables) -> dict[str, Missing]:
    """What is missing on each split where that is known at some epoch."""
    found = {split: missing(run, split) for split in ("train", "test")}
    return {split: lost for split, lost in found.items() if np.isfinite(lost.shares).all(1).any()}


def draw_total(run: RunTables, axes: Axes, lost: Missing) -> None:
    """How much is missing, over the epochs."""
    shown = ~lost.in_nats & drawable(lost.total, logarithmic=True)
    marker = "o" if shown.sum() <= FEW_POINTS else ""
    axes.plot(lost.epochs, np.where(shown, lost.total, np.nan), color=INK, linewidth=1.6, marker=marker, markersize=3.5)
    _scales(run, axes, "-log of the\nefficiency (log scale)")
    if shown.any():
        axes.set_yscale("log")
        logarithmic_ticks(axes.yaxis, most_ratio=VERTICAL_RATIO)
    else:
        axes.text(0.5, 0.5, "in nats only", transform=axes.transAxes, ha="center", fontsize=TEXT, color=FAINT)
        axes.set_yticks([])


def draw_areas(run: RunTables, axes: Axes, lost: Missing) -> None:
    """The shares of what is missing, over the epochs, with their words right of them.

    Epochs in nats are drawn faded, from the last epoch before them to the first after them."""
    shares = 100 * lost.shares
    known = np.isfinite(shares).all(1)
    clear, in_nats = known & ~lost.in_nats, known & lost.in_nats
    beside = in_nats | np.append(in_nats[1:], False) | np.append(False, in_nats[:-1])
    for drawn, opacity in ((clear, 1.0), (beside & known, 0.45)):
        _stack(axes, lost.epochs, np.where(drawn[:, None], shares, np.nan), opacity)
    axes.set_ylim(0, 100)
    _scales(run, axes, "share of what is missing (%)")
    axes.set_xlabel("epoch", fontsize=TEXT, color=INK)
    if known.any():
        _label(axes, shares[known][-1])


def _stack(axes: Axes, epochs: Array, shares: Array, opacity: float) -> None:
    if len(epochs) == 1:
        epochs, shares = epochs + np.array([-0.5, 0.5]), np.repeat(shares, 2, 0)
    tops = np.cumsum(shares, 1)
    for low, high, colour in zip((tops - shares).T, tops.T, SIX, strict=True):
        axes.fill_between(epochs, low, high, where=np.isfinite(high), color=colour, alpha=opacity, linewidth=0)


def _label(axes: Axes, shares: Array) -> None:
    """The parts at the last epoch, right of their areas and apart from each other."""
    heights = (np.cumsum(shares) - shares / 2) / 100
    steps = STEP * np.arange(len(PARTS))
    # Moved up as far as it takes to be apart, moved down so, and half way between both.
    up = np.maximum.accumulate(heights - steps) + steps
    down = np.minimum.accumulate((heights - steps)[::-1])[::-1] + steps
    places = np.clip((up + down) / 2, STEP / 2 + steps, 1 - STEP / 2 - steps[::-1])
    for part, share, height, place, colour in zip(PARTS, shares, heights, places, SIX, strict=True):
        axes.plot([1.005, 1.035], [height, place], color=colour, linewidth=1.2, transform=axes.transAxes, clip_on=False)
        axes.text(
            1.045,
            place,
            f"{_percentage(share)}  {SHORT[part]}",
            transform=axes.transAxes,
            fontsize=SMALL,
            color=INK,
            va="center",
            linespacing=1.05,
        )


def _percentage(share: float) -> str:
    return f"{share:.0f} %" if share >= 0.5 or share == 0 else "<1 %"


def _scales(run: RunTables, axes: Axes, meaning: str) -> None:
    quiet(axes)
    axes.margins(x=0)
    axes.set_ylabel(meaning, fontsize=TEXT, color=INK)
    if typed_config(run).record.every == "log":
        axes.set_xscale("symlog", linthresh=1)


def _caption(known: dict[str, Missing]) -> str:
    parts = [
        "The efficiencies of six parts multiply to simplex_efficiency, so their -log add up to what is missing: the "
        "areas are their shares of it, and the numbers those at the last epoch."
    ]
    if any((lost.in_nats & np.isfinite(lost.shares).all(1)).any() for lost in known.values()):
        parts.append(
            "Faded: an efficiency is not positive there, and the shares are those of risk_gap, the risk above its "
            "floor in nats."
        )
    return " ".join(parts)

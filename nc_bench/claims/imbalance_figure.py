"""The picture of the contrast: minority classifiers over the imbalance, under bounds and under prices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nc_bench.claims import imbalance
from nc_bench.claims.asked import answer
from nc_bench.claims.shapes import class_means
from nc_bench.claims.solve import Solution
from nc_bench.claims.style import FAINT, INK, SERIES, finish, page

COUNTS = (1, 2, 3, 5, 7, 8, 9, 10, 11, 15, 20, 30, 60, 100)
PRICE = 1 / 55
"""Weight and feature decay at which five classes of one sample merge beside five of ten."""


def imbalance_figure() -> Figure:
    """Left: distance between minority classifiers over the class ratio. Right: between the minority's class means."""
    figure = page("Five large classes and five small ones: bounded features keep the simplex, paid norms do not")
    left, right = figure.subplots(1, 2)
    for axes, head in ((left, True), (right, False)):
        _draw(axes, head=head)
    lines, labels = left.get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _draw(axes: Axes, *, head: bool) -> None:
    majority = imbalance.MAJORITY
    families: tuple[tuple[str, Mapping[float, Solution]], ...] = (
        ("every |h| <= 3, |W| <= 1 (the paper), class weights", imbalance.in_balls()),
        ("mean |h|^2 <= 5, mean |w|^2 <= 1, class weights", imbalance.peeled()),
        ("weight and feature decay 1/55, class sizes", _decayed()),
    )
    for (label, solutions), colour in zip(families, SERIES, strict=False):
        rows = [solution.weight if head else class_means(solution) for solution in solutions.values()]
        spreads = [imbalance.spread(row, majority) for row in rows]
        axes.plot(list(solutions), spreads, "o-", color=colour, linewidth=1.4, markersize=3.5, label=label)
    axes.axvline(_threshold(), color=INK, linewidth=1, linestyle=":", label="predicted threshold under decay")
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_ylim(-0.05, 1.25)
    what = "classifiers w_k" if head else "class means"
    finish(axes, "large class : small class (log scale)", f"distance of small {what} / of large ones", legend=False)


@cache
def _decayed() -> dict[float, Solution]:
    minority = imbalance.CLASSES - imbalance.MAJORITY
    return {count: imbalance.decayed((count,) * imbalance.MAJORITY + (1,) * minority, PRICE) for count in COUNTS}


def _threshold() -> float:
    """The ratio n at which N^2 lw lh = 1 for five classes of n samples and five of one."""
    unit = {"counts": (2,) * imbalance.MAJORITY + (1,) * (imbalance.CLASSES - imbalance.MAJORITY)}
    merged = answer("minority_collapse", "threshold_count", {**unit, "head_decay": PRICE, "feature_decay": PRICE})
    samples = sum(unit["counts"])
    # The threshold count grows with the square of N: it reaches the one sample of a small class at this N.
    needed = samples / merged**0.5
    return (needed - (imbalance.CLASSES - imbalance.MAJORITY)) / imbalance.MAJORITY

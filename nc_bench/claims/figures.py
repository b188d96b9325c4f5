"""The figures of `python -m nc_bench.verify --figures`: two-layer networks, three neurons, class imbalance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import product
from typing import get_args

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nc_bench.claims import imbalance, three_neurons, two_layer
from nc_bench.claims.claim import predicted_value
from nc_bench.claims.solve import Solution, class_means

INK, FAINT, GRID = "#222222", "#6b6b6b", "#e4e4e4"
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
DPI = 150

SHOWN_LOG_TIME = 14.0
ON_LINE = ", p3 = 2 p1"

LARGE_COUNTS = (1, 2, 3, 5, 7, 8, 9, 10, 11, 15, 20, 30, 60, 100)
DECAY = 1 / 55
"""Weight and feature decay at which five classes of one sample merge beside five of ten."""


def two_layer_figure() -> Figure:
    """Left: f/f(1) of one network as it grows, over the family f_b. Right: f(2)/f(1) of all networks over log t."""
    figure = _page("Two ReLU layers on a line: classes do not collapse")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    _draw_functions(left)
    _draw_ratios(right)
    return figure


def three_neurons_figure() -> Figure:
    """h(1) - h(-1) over log t from every start, by the equation and by the network, with the predicted limits."""
    figure = _page("Three neurons on the points -1, 0, 1: the outer class collapses only if p3 = 2 p1")
    axes = figure.subplots()
    for (case, p), colour in zip(three_neurons.CASES.items(), SERIES, strict=True):
        label: str | None = "p = ({:.2g}, {:.2g}, {:.2g})".format(*p) + ON_LINE * case.startswith("on_line")
        for start in three_neurons.STARTS:
            path = three_neurons.flow(p, start)
            axes.plot(path.log_time, path.gap, color=colour, linewidth=1.3, label=label)
            label = None
        network = three_neurons.descent()[case]
        log_time, gap = network.log_time[::40].numpy(), network.gap[::40].numpy()
        axes.plot(log_time, gap, "o", color=colour, markersize=2.8)
        limit = predicted_value("three_neurons", "gap", three_neurons.problem(case))
        axes.axhline(limit, color=INK, linewidth=1, linestyle=":", zorder=3)
        axes.annotate(
            f"{round(limit, 3) + 0:.3f}",
            (SHOWN_LOG_TIME, limit),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.plot([], [], color=FAINT, linewidth=1.3, label="gradient flow, four starts each")
    axes.plot([], [], "o", color=FAINT, markersize=2.8, label="the network under gradient descent")
    axes.plot([], [], ":", color=INK, linewidth=1, label="predicted limit log(p3/(2 p1))")
    axes.set_xlim(0, SHOWN_LOG_TIME)
    axes.set_ylim(-3, 3.4)
    _finish(axes, "log(1 + t)", "gap h(1) - h(-1); 0: the class is one point", legend=False)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.07, 0.5))
    return figure


def imbalance_figure() -> Figure:
    """Left: distance between minority classifiers over the class ratio. Right: between the minority's class means."""
    figure = _page("Five large classes and five small ones: bounded features keep the simplex, paid norms do not")
    left, right = figure.subplots(1, 2)
    for axes, head in ((left, True), (right, False)):
        _draw_imbalance(axes, head=head)
    lines, labels = left.get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


FIGURES: Mapping[str, Callable[[], Figure]] = {
    "two_layer.png": two_layer_figure,
    "three_neurons.png": three_neurons_figure,
    "imbalance.png": imbalance_figure,
}
"""Which function draws which file."""


def _draw_functions(axes: Axes) -> None:
    x = torch.linspace(-2, 2, 401, dtype=torch.float64)
    for b in (0.0, 0.25, 0.5, 0.75, 1.0):
        family = np.where(x.abs() > b, x + b * x.sign(), 2 * x) / (1 + b)
        axes.plot(x, family, color=FAINT, linewidth=1, alpha=0.6, label="f_b, b = 0, 1/4, ..., 1" if b == 0 else None)
    for (step, parameters), colour in zip(_widest().snapshots.items(), SERIES, strict=False):
        f = two_layer.outputs(parameters[:1], x)[0]
        when = float(_widest().log_time[step - 1, 0])
        axes.plot(x, f / f[x == 1], color=colour, linewidth=1.6, label=f"trained (cross entropy), log t = {when:.0f}")
    for left, right in ((-2, -1), (1, 2)):
        axes.axvspan(left, right, color=GRID, alpha=0.6, linewidth=0)
    _finish(axes, "x (shaded: the classes)", "f(x) / f(1)")


def _draw_ratios(axes: Axes) -> None:
    kinds = list(product(get_args(two_layer.Loss), two_layer.WIDTHS))
    for (loss, width), colour in zip(kinds, SERIES, strict=True):
        path = two_layer.trained(width, loss)
        words = f"{path.ratio.shape[1]} networks of width {width}, {loss.replace('_', ' ')}"
        for seed, side in product(range(path.ratio.shape[1]), range(2)):
            label = words if seed == side == 0 else None
            axes.plot(path.log_time[:, seed], path.ratio[:, seed, side], color=colour, linewidth=0.8, label=label)
    limit = predicted_value("two_layer_relu", "ratio", {})
    axes.axhline(limit, color=INK, linewidth=1, linestyle=":", label="predicted limit 1.5 (b = 1)")
    axes.axhline(1.0, color=FAINT, linewidth=1, linestyle="--", label="a collapsed class")
    axes.set_xscale("log")
    axes.set_xlim(left=5)
    axes.set_ylim(0.97, 1.8)
    _finish(axes, "log t of the gradient flow (log scale)", "f(2)/f(1) and f(-2)/f(-1), both classes")


def _widest() -> two_layer.Trained:
    return two_layer.trained(two_layer.WIDTHS[-1], "cross_entropy")


def _draw_imbalance(axes: Axes, *, head: bool) -> None:
    majority = imbalance.MAJORITY
    families: tuple[tuple[str, Mapping[float, Solution]], ...] = (
        ("every |h| <= 3, |W| <= 1 (the paper), class weights", imbalance.in_balls()),
        ("mean |h|^2 <= 5, mean |w|^2 <= 1, class weights", imbalance.peeled()),
        ("weight and feature decay 1/55, class sizes", _under_decay()),
    )
    for (label, solutions), colour in zip(families, SERIES, strict=False):
        rows = [solution.weight if head else class_means(solution) for solution in solutions.values()]
        distances = [imbalance.relative_distance(row, majority) for row in rows]
        axes.plot(list(solutions), distances, "o-", color=colour, linewidth=1.4, markersize=3.5, label=label)
    axes.axvline(_merging_ratio(), color=INK, linewidth=1, linestyle=":", label="predicted threshold under decay")
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_ylim(-0.05, 1.25)
    what = "classifiers w_k" if head else "class means"
    _finish(axes, "large class : small class (log scale)", f"distance of small {what} / of large ones", legend=False)


@cache
def _under_decay() -> dict[float, Solution]:
    minority = imbalance.CLASSES - imbalance.MAJORITY
    return {count: imbalance.decayed((count,) * imbalance.MAJORITY + (1,) * minority, DECAY) for count in LARGE_COUNTS}


def _merging_ratio() -> float:
    """The ratio n at which N^2 lw lh = 1 for five classes of n samples and five of one."""
    unit = {"counts": (2,) * imbalance.MAJORITY + (1,) * (imbalance.CLASSES - imbalance.MAJORITY)}
    merged = predicted_value(
        "minority_collapse", "threshold_count", {**unit, "head_decay": DECAY, "feature_decay": DECAY}
    )
    samples = sum(unit["counts"])
    # The threshold count grows with the square of N: it reaches the one sample of a small class at this N.
    needed = samples / merged**0.5
    return (needed - (imbalance.CLASSES - imbalance.MAJORITY)) / imbalance.MAJORITY


def _page(title: str) -> Figure:
    """An empty page with its title."""
    figure = Figure(figsize=(10, 4.6), facecolor="white", layout="constrained")
    figure.suptitle(title, x=0.014, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _finish(axes: Axes, x: str, y: str, *, legend: bool = True) -> None:
    """Labels, a frame of two lines, a faint grid behind the data, and a legend where it does not stand elsewhere."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=FAINT, labelsize=8, labelcolor=INK)
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    if legend:
        axes.legend(fontsize=8, frameon=False)

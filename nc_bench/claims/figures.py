"""The pictures of section 5: two-layer networks that do not collapse, three neurons that collapse on a line only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import get_args

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nc_bench.claims import three_neurons, two_layer
from nc_bench.claims.asked import answer
from nc_bench.claims.style import FAINT, GRID, INK, SERIES, finish, page

SHOWN_LOG_TIME = 14.0
ON_LINE = ", p3 = 2 p1"


def two_layer_figure() -> Figure:
    """Left: f/f(1) of one network as it grows, over the family f_b. Right: f(2)/f(1) of all networks over log t."""
    figure = page("Two ReLU layers on a line: classes do not collapse")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    _draw_functions(left)
    _draw_ratios(right)
    return figure


def three_neurons_figure() -> Figure:
    """h(1) - h(-1) over log t from every start, by the equation and by the network, with the predicted limits."""
    figure = page("Three neurons on the points -1, 0, 1: the outer class collapses only if p3 = 2 p1")
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
        limit = answer("three_neurons", "gap", three_neurons.problem(case))
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
    finish(axes, "log(1 + t)", "gap h(1) - h(-1); 0: the class is one point", legend=False)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.07, 0.5))
    return figure


FIGURES: Mapping[str, Callable[[], Figure]] = {
    "two_layer.png": two_layer_figure,
    "three_neurons.png": three_neurons_figure,
}
"""What draws which file."""


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
    finish(axes, "x (shaded: the classes)", "f(x) / f(1)")


def _draw_ratios(axes: Axes) -> None:
    kinds = list(product(get_args(two_layer.Loss), two_layer.WIDTHS))
    for (loss, width), colour in zip(kinds, SERIES, strict=True):
        path = two_layer.trained(width, loss)
        words = f"{path.ratio.shape[1]} networks of width {width}, {loss.replace('_', ' ')}"
        for seed, side in product(range(path.ratio.shape[1]), range(2)):
            label = words if seed == side == 0 else None
            axes.plot(path.log_time[:, seed], path.ratio[:, seed, side], color=colour, linewidth=0.8, label=label)
    limit = answer("two_layer_relu", "ratio", {})
    axes.axhline(limit, color=INK, linewidth=1, linestyle=":", label="predicted limit 1.5 (b = 1)")
    axes.axhline(1.0, color=FAINT, linewidth=1, linestyle="--", label="a collapsed class")
    axes.set_xscale("log")
    axes.set_xlim(left=5)
    axes.set_ylim(0.97, 1.8)
    finish(axes, "log t of the gradient flow (log scale)", "f(2)/f(1) and f(-2)/f(-1), both classes")


def _widest() -> two_layer.Trained:
    return two_layer.trained(two_layer.WIDTHS[-1], "cross_entropy")

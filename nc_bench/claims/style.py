"""How the pictures of the claims look: colours that colour-blind readers tell apart, and quiet axes."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, FAINT, GRID = "#222222", "#6b6b6b", "#e4e4e4"
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
DPI = 150


def page(title: str) -> Figure:
    """An empty page with its title."""
    figure = Figure(figsize=(10, 4.6), facecolor="white", layout="constrained")
    figure.suptitle(title, x=0.014, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def finish(axes: Axes, x: str, y: str, *, legend: bool = True) -> None:
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

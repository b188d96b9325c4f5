"""How the figures look: colours that colour-blind readers tell apart, and quiet axes."""

from __future__ import annotations

import re
import textwrap
import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from io import BytesIO

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from nc_bench.text import plain, shortened

INK, FAINT, GRID = "#222222", "#6b6b6b", "#e4e4e4"
SERIES = ("#0072B2", "#D55E00", "#009E73")
"""Blue, vermilion and green of Okabe & Ito."""

SIX = ("#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#009E73", "#CC79A7")
"""Six of Okabe & Ito's: blue and sky blue, vermilion and orange, green, purple."""

TITLE, PANEL, TEXT, SMALL = 13, 10.5, 9, 8
DPI = 150
VERTICAL_RATIO = 300
"""Ratio of the ends of a vertical axis of a run's figures up to which 2 and 5 are named beside the powers of ten."""

LARGEST = 1e100
"""Numbers beyond it, and on a logarithmic axis those below its inverse, are not drawn: matplotlib's sums overflow."""

FEW_CLASSES = 10

MARGIN = 0.14
SUBTITLE_COLUMNS, CAPTION_COLUMNS = 14.0, 15.5
"""Inches left of the text; characters of its two sizes in an inch."""


def class_colours(classes: int) -> NDArray[np.float64]:
    """A colour per class, (K, 4): Petroff's ten for up to ten classes, else steps of viridis."""
    if classes <= FEW_CLASSES:
        return to_rgba_array(matplotlib.color_sequences["petroff10"][:classes])
    return np.asarray(matplotlib.colormaps["viridis"](np.linspace(0, 1, classes)))


def drawn(text: str, length: int = 1000) -> str:
    """Text that matplotlib draws as it is, shortened: a `$` is no mathematics, a first `_` hides nothing."""
    escaped = shortened(plain(text), length).replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


def has_letters(text: str) -> bool:
    """Whether the font of the figures has every letter of the text, and writes them in their order, left to right."""
    font = get_font(findfont(FontProperties()))
    known = all(font.get_char_index(ord(letter)) for letter in text)
    return known and not any(unicodedata.bidirectional(letter) in ("R", "AL", "AN") for letter in text)


def drawable(values: NDArray[np.float64], *, logarithmic: bool) -> NDArray[np.bool_]:
    """Which of the values an axis can show."""
    shown = np.isfinite(values) & (np.abs(values) <= LARGEST)
    return shown & (values >= 1 / LARGEST) if logarithmic else shown


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """A character that the font lacks is drawn as a box, of which nothing has to be said."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        warnings.filterwarnings("ignore", "Matplotlib currently does not support .* natively", UserWarning)
        yield


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    return file_of(figure, "png", dpi=DPI)


def file_of(figure: Figure, kind: str, *, dpi: float) -> bytes:
    """The figure as a file of this kind: png, pdf or svg; without the time, so that it depends on the figure alone."""
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    content = BytesIO()
    with without_glyph_warnings():
        figure.savefig(content, format=kind, dpi=dpi, metadata=undated.get(kind))
    return content.getvalue()


@cache
def page_colours() -> Mapping[str, str]:
    """The colours of the page by day, by the names that its style sheet has for them (`--ink`, `--c0`)."""
    sheet = files("nc_bench.reports").joinpath("page/page.css").read_text(encoding="utf-8")
    by_day, _, _ = sheet.partition("@media")
    return dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", by_day))


def headed_figure(size: tuple[float, float], title: str, subtitle: str, caption: str) -> tuple[Figure, SubFigure]:
    """A page with a title, a subtitle and a caption, and the part of it between them that is to be drawn on.

    `size` in inches is that of the whole page; subtitle and caption are wrapped to its width.
    """
    width, height = size
    subtitle = textwrap.fill(drawn(subtitle), int(width * SUBTITLE_COLUMNS))
    caption = textwrap.fill(drawn(caption), int(width * CAPTION_COLUMNS))
    head, foot = 0.46 + 0.17 * _lines(subtitle), 0.22 + 0.15 * _lines(caption)
    page = Figure(figsize=size, facecolor="white", layout="constrained")
    ratios = [head, height - head - foot, foot]
    top, middle, bottom = page.subfigures(3, 1, squeeze=False, height_ratios=ratios)[:, 0]
    top.text(MARGIN / width, 1 - 0.13 / head, drawn(title), fontsize=TITLE, fontweight="bold", color=INK, va="top")
    top.text(MARGIN / width, 1 - 0.42 / head, subtitle, fontsize=TEXT, color=FAINT, va="top")
    bottom.text(MARGIN / width, 1 - 0.05 / foot, caption, fontsize=SMALL, color=INK, va="top", linespacing=1.35)
    return page, middle


def _lines(text: str) -> int:
    return 1 + text.count("\n")


def head_panel(axes: Axes, title: str, *, columns: int) -> None:
    """The title of a panel and, between both, a legend of so many columns; none where nothing is drawn."""
    axes.set_title(title, loc="left", fontsize=PANEL, fontweight="bold", color=INK, pad=34)
    if not axes.lines:
        return
    legend = axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=columns,
        fontsize=SMALL,
        frameon=False,
        borderaxespad=0.2,
        handlelength=1.6,
        columnspacing=1.2,
    )
    legend.set_in_layout(False)  # it stands in the space that the title's pad leaves, and must not narrow the panel


def quiet(axes: Axes) -> None:
    """A frame of two lines and a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=FAINT, labelsize=SMALL, labelcolor=INK)


def logarithmic_ticks(axis: Axis, *, most_ratio: float = 100) -> None:
    """Numbers that do not run into each other: powers of ten, or 1, 2, 5 of each where the ends of the axis are a
    ratio of less than `most_ratio` apart."""
    low, high = sorted(axis.get_view_interval())
    if high < most_ratio * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())

"""The simplex appearing, as a GIF and, where ffmpeg is found, as an MP4: the page's picture without the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from nc_bench.reports.film import LARGEST_GIF, gif, write_mp4
from nc_bench.reports.film_panel import DPI, MARKS, FilmPanel, film_colours
from nc_bench.reports.page.motion import is_drawable
from nc_bench.reports.pictures import Picture, pictures
from nc_bench.reports.plane import ring_names
from nc_bench.reports.scene import SPATIAL, in_span, on_polygon
from nc_bench.reports.style import page_colours, without_glyph_warnings
from nc_bench.runs import RunError, RunTables
from nc_bench.runs.directory import FIGURES
from nc_bench.runs.files import write_bytes

NAME = "simplex"

WIDTH, HEIGHT = 800, 452
PANEL, TOP, GAP = 388, 46, 8
"""Side of a square panel, the strip above it, and margins, in pixels."""

FRAMES_A_SECOND = 12.5
START, MOVING, END = 5, 66, 20
"""Frames for which the first picture stands, those from it to the last, and those for which the last stands. The camera
goes on all the time."""

SWING, YAW, PITCH = 0.6, -0.35, -0.35
"""The camera starts as the page does and swings this far to both sides, in radians, so that the end meets the start."""

MOST_A_CLASS = (40, 25, 15, 8)
"""Samples of a class that are drawn; fewer as long as the GIF is too large."""


def write_animation(run: RunTables) -> tuple[list[Path], str]:
    """Write DIR/figures/simplex.gif, and simplex.mp4 where ffmpeg is found; the paths, and why one is missing, or "".

    Training samples, class means, rows of W and vertices: on the left in the span of the means of the first four
    classes, on the right on the plane in which the simplex of all classes is a regular polygon.
    RunError, one line, if the run keeps fewer than two pictures or one is damaged; OSError where it cannot be written.
    """
    recorded = [picture for picture in pictures(run) if is_drawable(picture)]
    if len(recorded) < 2:
        raise RunError(f"{run.path}: an animation takes pictures of two epochs, and {len(recorded)} can be drawn")
    folder = run.path / FIGURES
    folder.mkdir(exist_ok=True)
    for most in MOST_A_CLASS:
        frames = list(_Film(run, recorded, most).frames())
        content = gif(frames, FRAMES_A_SECOND, film_colours(len(recorded[-1].means.polygon)))
        if len(content) <= LARGEST_GIF:
            break
    write_bytes(folder / f"{NAME}.gif", content)
    missing = write_mp4(folder / f"{NAME}.mp4", frames, FRAMES_A_SECOND)
    return [folder / f"{NAME}.gif", *([] if missing else [folder / f"{NAME}.mp4"])], missing


class _Film:
    """The figure that is drawn again for every frame."""

    def __init__(self, run: RunTables, recorded: Sequence[Picture], most: int) -> None:
        last = recorded[-1]
        self.recorded, self.look = recorded, page_colours()
        self.classes, shown = len(last.means.polygon), len(last.means.coordinates)
        self.figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor=self.look["--ground"])
        self.canvas = FigureCanvasAgg(self.figure)
        names, chosen = ring_names(run, self.classes), list(range(min(SPATIAL, shown)))
        kept = _first_of_each(last.train.labels, most)
        labels = last.train.labels[kept]
        spatial = [in_span(picture, chosen).with_samples(kept) for picture in recorded]
        flat = [on_polygon(picture).with_samples(kept) for picture in recorded]
        self.space = FilmPanel(self._axes(0, self._title_of_space()), spatial, labels, chosen, names)
        self.plane = FilmPanel(self._axes(1, self._title_of_plane()), flat, labels, range(self.classes), names)
        self.clock = self.figure.text(0.012, 1 - TOP / 2 / HEIGHT, "", fontsize=15, fontweight="bold", va="center")
        self.clock.set_color(self.look["--ink"])
        self._legend()
        self.bar = self._progress()

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame, (height, width, 3)."""
        last = len(self.recorded) - 1
        for number in range(START + MOVING + END):
            place = last * min(max(number - START, 0) / MOVING, 1.0)
            epoch = self.recorded[round(place)].epoch
            self.clock.set_text(f"epoch {epoch}" if epoch else "before training")
            self.bar.set_width(place / last)
            self.space.show(place, (YAW + SWING * float(np.sin(2 * np.pi * number / (START + MOVING + END))), PITCH))
            self.plane.show(place)
            with without_glyph_warnings():
                self.canvas.draw()
            yield np.asarray(self.canvas.buffer_rgba())[..., :3].copy()

    def _axes(self, place: int, title: str) -> Axes:
        left = GAP + place * (WIDTH - PANEL - 2 * GAP)
        box = (left / WIDTH, (HEIGHT - TOP - PANEL) / HEIGHT, PANEL / WIDTH, PANEL / HEIGHT)
        axes = self.figure.add_axes(box, facecolor=self.look["--panel"], xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.text(0.02, 0.02, title, transform=axes.transAxes, fontsize=9, color=self.look["--soft"])
        return axes

    def _title_of_space(self) -> str:
        return "classes in space" if self.classes <= SPATIAL else "four of the classes, in the span of their means"

    def _title_of_plane(self) -> str:
        return (
            f"all {self.classes} classes; the simplex seen as a regular polygon" if self.classes > 2 else "both classes"
        )

    def _legend(self) -> None:
        """What each mark is, in a grey that is no class."""
        marks = []
        for words, (marker, size, filled, edge) in MARKS.items():
            said = "nearest simplex" if words == "predicted vertex" and not self.recorded[-1].predicted else words
            soft = self.look["--soft"]
            mark = Line2D([], [], linestyle="", marker=marker, markersize=size * 72 / DPI, label=said)
            mark.set_markerfacecolor(soft if filled else "none")
            mark.set_markeredgecolor(self.look["--ink"] if edge else soft)
            mark.set_markeredgewidth(0 if words == "sample" else 1)
            marks.append(mark)
        self.figure.legend(
            handles=marks,
            loc="center right",
            bbox_to_anchor=(1.0, 1 - TOP / 2 / HEIGHT),
            ncols=len(marks),
            frameon=False,
            fontsize=9.5,
            labelcolor=self.look["--ink"],
            handletextpad=0.2,
            columnspacing=1.3,
        )

    def _progress(self) -> Rectangle:
        """A bar along the lower edge, which grows with the epochs as they were kept: log-spaced."""
        axes = self.figure.add_axes((0.0, 0.0, 1.0, 5 / HEIGHT), xlim=(0, 1), ylim=(0, 1), frameon=False)
        axes.set_axis_off()
        axes.add_patch(Rectangle((0, 0), 1, 1, color=self.look["--line"], linewidth=0))
        bar = Rectangle((0, 0), 0, 1, color=self.look["--accent"], linewidth=0)
        axes.add_patch(bar)
        return bar


def _first_of_each(labels: NDArray[np.int32], most: int) -> NDArray[np.int64]:
    """Positions of the first samples of each class, at most so many of it."""
    found = [np.flatnonzero(labels == label)[:most] for label in np.unique(labels)]
    return np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)

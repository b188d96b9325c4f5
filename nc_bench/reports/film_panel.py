"""One panel of the animation: what the page draws of a picture, as artists that move."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgba_array
from numpy.typing import NDArray

from nc_bench.reports.scene import Array, Scene
from nc_bench.reports.style import page_colours

DPI = 100

MARKS = {
    "sample": ("o", 3.6, True, False),
    "class mean": ("o", 9.0, True, True),
    "row of W": ("^", 10.0, False, False),
    "predicted vertex": ("o", 16.0, False, True),
}
"""Marker, its size in pixels, whether it is filled, and whether its edge has the colour of ink."""

MOST_NAMED, MOST_AT_SIZE = 20, 12
DEPTH = 0.25
"""Share by which what is at the reach's distance is drawn larger or smaller."""

OUTSIDE = 1.17
"""Where the name of a class stands, in lengths of its vertex; and the room that vertices leave."""


SHADES = (1.0, 0.75, 0.5, 0.25)
"""How much of a colour is kept of it where it is mixed with what is behind: at the edge of a mark, or of a sample."""

MOST_HUES = 48


def film_colours(classes: int) -> NDArray[np.uint8]:
    """The colours that a film is drawn in, (n, 3): those of the page and of the classes, and their shades."""
    look = page_colours()
    hues = [look[name] for name in ("--ink", "--soft")]
    step = max(1, -(-classes // MOST_HUES))
    table = _rgb([*hues, *class_hues(classes)[::step]])
    panel = _rgb([look["--panel"]])
    shaded = np.concatenate([share * table + (1 - share) * panel for share in SHADES])
    plain = _rgb([look[name] for name in ("--ground", "--panel", "--line", "--accent")])
    return np.asarray((255 * np.concatenate([plain, shaded])).round(), np.uint8)


def class_hues(classes: int) -> list[Any]:
    """The page's colour of each class: ten of its style sheet, of further classes steps of the circle."""
    look = page_colours()
    return [look.get(f"--c{label}") or colorsys.hls_to_rgb(label / classes, 0.5, 0.55) for label in range(classes)]


def _rgb(colours: Sequence[Any]) -> Array:
    return np.asarray(to_rgba_array(colours)[:, :3], np.float64)


class FilmPanel:
    """A square of the film: scenes of the pictures, of which it shows every place between two.

    `labels` are those of the scenes' samples, `chosen` the classes that are drawn, `names` what stands at each ring.
    """

    def __init__(
        self,
        axes: Axes,
        scenes: Sequence[Scene],
        labels: NDArray[np.int32],
        chosen: Iterable[int],
        names: Sequence[str],
    ) -> None:
        self.axes, self.chosen, look = axes, list(chosen), page_colours()
        kept = np.isin(labels, self.chosen)
        self.scenes = [scene.of_classes(kept, self.chosen) for scene in scenes]
        hues = _rgb(class_hues(len(names)))[self.chosen]
        self.sample_hues = hues[np.searchsorted(self.chosen, labels[kept])]
        self.reach = max(OUTSIDE * 1.1 * max(scene.reach for scene in self.scenes), 1e-300)
        axes.set(xlim=(-1, 1), ylim=(-1, 1))
        self.small = min(1.0, (MOST_AT_SIZE / len(self.chosen)) ** 0.5)
        self.edges = LineCollection([], colors=look["--soft"], linewidths=0.6, alpha=0.55, zorder=1)
        axes.add_collection(self.edges)
        self.samples = self._marks("sample", len(self.sample_hues), zorder=2, alpha=0.75)
        edge = {"class mean": look["--ink"], "row of W": hues, "predicted vertex": look["--ink"]}
        faces = {"class mean": hues, "row of W": "none", "predicted vertex": "none"}
        self.corners = {
            words: self._marks(words, len(hues), zorder=3 + at, edgecolors=edge[words], facecolors=faces[words])
            for at, words in enumerate(("predicted vertex", "row of W", "class mean"))
        }
        halo = [patheffects.withStroke(linewidth=2.5, foreground=look["--panel"])]
        named = self.chosen if len(self.chosen) <= MOST_NAMED else []
        self.names = [
            axes.text(0, 0, names[label], fontsize=9, color=look["--ink"], zorder=7,
                      ha="center", va="center", path_effects=halo)
            for label in named
        ]  # fmt: skip
        self.merged = axes.text(0.5, 0.95, "", transform=axes.transAxes, ha="center", fontsize=9, color=look["--soft"])

    def show(self, place: float, turn: tuple[float, float] | None = None) -> None:
        """The scene at this place among the pictures, turned by (yaw, pitch)."""
        low = min(int(place), len(self.scenes) - 2)
        scene = self.scenes[low].moved_to(self.scenes[low + 1], place - low).scaled(1 / self.reach)
        is_merged = np.abs(scene.means).max() < 1e-9
        if turn is not None:
            scene = scene.turned(*turn)
        order = np.argsort(scene.samples[:, 2], kind="stable")
        self._place(self.samples, "sample", scene.samples[order])
        self.samples.set_facecolor(list(map(tuple, self.sample_hues[order])))
        parts = {"class mean": scene.means, "row of W": scene.weight, "predicted vertex": scene.vertices}
        for words, points in parts.items():
            self._place(self.corners[words], words, points)
        ends = list(combinations(range(len(self.chosen)), 2)) if turn is not None else _ring(len(self.chosen))
        self.edges.set_segments([scene.vertices[list(pair), :2] for pair in ends])
        for text, vertex in zip(self.names, scene.vertices, strict=False):
            length = float(np.linalg.norm(vertex[:2])) or 1.0
            text.set_position(vertex[:2] * (1 + (OUTSIDE - 1) * min(1 / length, 1.6)))
        self.merged.set_text("all class means coincide" if is_merged else "")

    def _marks(self, words: str, count: int, **look: Any) -> PathCollection:
        marker, _, _, _ = MARKS[words]
        look = {"linewidths": 0.0 if words == "sample" else 1.0} | look
        return self.axes.scatter(np.zeros(count), np.zeros(count), marker=marker, **look)

    def _place(self, marks: PathCollection, words: str, points: Array) -> None:
        marks.set_offsets(points[:, :2])
        size = MARKS[words][1] * self.small * 72 / DPI
        marks.set_sizes((size * (1 + DEPTH * points[:, 2].clip(-1, 1))) ** 2)


def _ring(classes: int) -> list[tuple[int, int]]:
    return list(pairwise([*range(classes), 0]))

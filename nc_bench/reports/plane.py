"""The second figure: features on a plane in which the simplex is a regular polygon."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nc_bench.reports.description import describe
from nc_bench.reports.pictures import Picture, Points, pictures
from nc_bench.reports.style import (
    INK,
    LARGEST,
    PANEL,
    SMALL,
    class_colours,
    drawn,
    has_letters,
    headed_figure,
    quiet,
)
from nc_bench.runs import RunTables
from nc_bench.text import plain

TITLE = "Features of the penultimate layer and the simplex"
MOST_NAMED_CLASSES = 20
LONGEST_NAME = 14
PANEL_INCHES = 4.0
NARROWEST = 7.0
ASIDE = 0.3
"""From this share of its way sideways on, a name stands beside its ring and not above or below it."""


@dataclass(frozen=True, kw_only=True)
class View:
    """One panel: points (N, 2) with their labels, the vertices they belong to, and the names of these."""

    title: str
    points: NDArray[np.float64]
    labels: NDArray[np.int32]
    vertices: NDArray[np.float64]
    names: Sequence[str]


def simplex_plane(run: RunTables) -> Figure | None:
    """Samples on the plane of the simplex, at the first and the last epoch with a picture; None if there is none.

    Panels: training samples at the first and at the last recorded epoch, test samples at the last, as far as there
    are any. Open rings: the vertices. All panels share one scale. ValueError, one line, for vertices beyond 1e100.
    """
    recorded = pictures(run)
    if not recorded:
        return None
    views = list(plane_views(run, recorded).values())
    width = max(NARROWEST, PANEL_INCHES * len(views))
    size = (width, PANEL_INCHES + 1.5)
    page, body = headed_figure(size, TITLE, describe(run), _caption(recorded[-1], views[-1].names))
    panels = np.atleast_1d(body.subplots(1, len(views), sharex=True, sharey=True))
    reach = largest_reach(views)
    for axes, view in zip(panels, views, strict=True):
        draw_view(axes, view, reach)
        axes.set_title(view.title, loc="left", fontsize=PANEL, color=INK)
    return page


def plane_views(run: RunTables, recorded: Sequence[Picture]) -> dict[str, View]:
    """The panels by the names that their files have: `start` (where there are two pictures), `end` and `end_test`."""
    first, last = recorded[0], recorded[-1]
    names = ring_names(run, len(last.vertices.polygon))
    views = {"start": _view("training samples", first, first.train, names)} if first.epoch != last.epoch else {}
    views["end"] = _view("training samples", last, last.train, names)
    if len(last.test.labels):
        views["end_test"] = _view("test samples", last, last.test, names)
    return views


def ring_names(run: RunTables, classes: int) -> list[str]:
    """What stands at the rings: a class's name, or its number where the font cannot write that."""
    given = [plain(str(name)) for name in run.manifest.get("class_names") or []]
    named = len(given) == classes
    return [drawn(given[k], LONGEST_NAME) if named and has_letters(given[k]) else str(k) for k in range(classes)]


def _view(samples: str, picture: Picture, points: Points, names: Sequence[str]) -> View:
    vertices = picture.vertices.polygon
    if not np.isfinite(vertices).all() or np.abs(vertices).max() > LARGEST:
        raise ValueError(f"at epoch {picture.epoch} the corners of the simplex are beyond {LARGEST:g}")
    when = "before training" if picture.epoch == 0 else f"epoch {picture.epoch}"
    shown = picture.on_polygon(points)
    return View(title=f"{samples}, {when}", points=shown, labels=points.labels, vertices=vertices, names=names)


def largest_reach(views: Iterable[View]) -> float:
    """Half of the side that all of these views fit in."""
    return max(_reach(view) for view in views)


def _reach(view: View) -> float:
    points = view.points[np.isfinite(view.points).all(axis=1)]
    farthest = np.abs(points).max() if len(points) else 0.0
    room = 1.25 if all(name.isdigit() for name in view.names) else 1.6
    return float(max(farthest * 1.05, np.linalg.norm(view.vertices, axis=1).max() * room)) or 1.0


def draw_view(axes: Axes, view: View, reach: float) -> None:
    """Samples, polygon and rings of a view, as far as `reach` to all sides."""
    classes = len(view.vertices)
    colours = class_colours(classes)
    corners = (view.vertices[:, 0], view.vertices[:, 1])
    quiet(axes)
    axes.fill(*corners, facecolor="none", edgecolor="#b5b5b5", linewidth=0.9, zorder=1)
    size, opacity = (14, 0.75) if len(view.points) <= 5000 else (5, 0.4)
    axes.scatter(
        view.points[:, 0], view.points[:, 1], c=colours[view.labels], s=size, alpha=opacity, linewidths=0, zorder=2
    )
    if classes <= MOST_NAMED_CLASSES:
        _named_rings(axes, view.vertices, view.names)
    else:
        axes.scatter(*corners, s=9, facecolors="none", edgecolors=INK, linewidths=0.5, zorder=3)
    axes.set_aspect("equal")
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)


def _named_rings(axes: Axes, vertices: NDArray[np.float64], names: Sequence[str]) -> None:
    """Rings that stay visible on top of their points, each with the name of its class outside."""
    x, y = vertices[:, 0], vertices[:, 1]
    rings = axes.scatter(x, y, s=150, facecolors="none", edgecolors=INK, linewidths=1.1, zorder=3)
    rings.set_path_effects([patheffects.withStroke(linewidth=2.6, foreground="white")])
    for name, vertex in zip(names, vertices, strict=True):
        away = vertex / max(float(np.linalg.norm(vertex)), 1e-12)
        axes.annotate(
            name,
            vertex,
            xytext=16 * away if name.isdigit() else 12 * away,
            textcoords="offset points",
            ha="center" if name.isdigit() or abs(away[0]) < ASIDE else "left" if away[0] > 0 else "right",
            va="center",
            fontsize=SMALL,
            color=INK,
            zorder=4,
            path_effects=[patheffects.withStroke(linewidth=3, foreground="white")],
        )


def _caption(picture: Picture, names: Sequence[str]) -> str:
    classes = len(picture.vertices.polygon)
    rings = "numbers" if all(name.isdigit() for name in names) else "names, or numbers,"
    colour = "coloured by its class" + (f" ({rings} at the rings)" if classes <= MOST_NAMED_CLASSES else "")
    where = (
        "the simplex that theory predicts"
        if picture.predicted
        else "a regular simplex of the mean radius that was measured (none is predicted for this run)"
    )
    shape = (
        "the line through both class means runs from left to right"
        if classes == 2
        else f"seen from this side, the {classes} corners of the simplex form a regular polygon"
    )
    return (
        f"Each dot is one sample, {colour}. Rings: {where}, turned to fit the class means; {shape}. "
        "Classes that have collapsed onto the simplex show as single dots, each in the ring of its class."
    )

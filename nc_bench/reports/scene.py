"""What is drawn of a picture: points in the span of four classes, or on the polygon of all, and their places between
two pictures, as the page's script has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from nc_bench.reports.pictures import Corners, Picture

Array = NDArray[np.float64]

SPATIAL = 4
"""Classes whose means span three dimensions."""

SAME = 1e-6
"""Share of the largest singular value below which class means span no further direction: pictures are float32."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Points in three coordinates, of which the third is depth: training samples (n, 3), and a point of each class.

    Rows of W are drawn at the mean length of the class means.
    """

    samples: Array
    means: Array
    weight: Array
    vertices: Array

    def with_samples(self, kept: NDArray[np.int64]) -> Scene:
        """With the samples at these positions alone."""
        return replace(self, samples=self.samples[kept])

    def of_classes(self, samples: NDArray[np.bool_], classes: Sequence[int]) -> Scene:
        """With these samples and the corners of these classes alone."""
        chosen = list(classes)
        corners = {name: getattr(self, name)[chosen] for name in ("means", "weight", "vertices")}
        return replace(self, samples=self.samples[samples], **corners)

    @property
    def reach(self) -> float:
        """The length of the farthest class mean or vertex."""
        return float(max(np.linalg.norm(corners, axis=1).max() for corners in (self.means, self.vertices)))

    def moved_to(self, other: Scene, share: float) -> Scene:
        """This share of the straight way from here to another scene."""
        there = {field.name: getattr(other, field.name) for field in fields(self)}
        return replace(self, **{name: (1 - share) * getattr(self, name) + share * at for name, at in there.items()})

    def scaled(self, factor: float) -> Scene:
        """All lengths multiplied."""
        return replace(self, **{field.name: factor * getattr(self, field.name) for field in fields(self)})

    def turned(self, yaw: float, pitch: float) -> Scene:
        """Turned about the upright axis and then towards the reader, angles in radians."""
        (c, s), (d, t) = ((np.cos(angle), np.sin(angle)) for angle in (yaw, pitch))
        turn = np.array([[c, s * t, -s * d], [0.0, d, t], [s, -c * t, c * d]])
        return replace(self, **{field.name: getattr(self, field.name) @ turn for field in fields(self)})


def in_span(picture: Picture, chosen: Sequence[int]) -> Scene:
    """Seen in the span of the means of at most four classes, turned so that they are as near as can be to a regular
    simplex (orthogonal Procrustes); below four classes further axes are those in which samples spread the most."""
    shown, width = picture.means.coordinates.shape
    means = picture.means.coordinates[list(chosen)]
    centre = means.mean(0)
    left, sizes, right = np.linalg.svd((means - centre).T @ regular_simplex(len(chosen)), full_matrices=False)
    kept = sizes > SAME * max(sizes.max(initial=0.0), np.finfo(float).tiny)
    axes = np.zeros((width, 3))
    axes[:, : len(chosen) - 1] = left[:, kept] @ right[kept]
    for axis in range(len(chosen) - 1, 3):
        axes[shown + axis - len(chosen) + 1, axis] = 1
    centre[shown:] = 0
    return _scene(picture, "coordinates", picture.scale[0], lambda points: (points - centre) @ axes)


def on_polygon(picture: Picture) -> Scene:
    """Seen on the plane in which the vertices of all classes form a regular polygon."""
    return _scene(picture, "polygon", picture.scale[1], lambda points: np.pad(points, ((0, 0), (0, 1))))


def _scene(picture: Picture, view: str, scale: float, placed: Callable[[Array], Array]) -> Scene:
    factor = _mean_length(picture.means) / (_mean_length(picture.weight) or 1.0) or 1.0
    return Scene(
        samples=placed(getattr(picture.train, view) * scale),
        means=placed(getattr(picture.means, view)),
        weight=placed(getattr(picture.weight, view) * factor),
        vertices=placed(getattr(picture.vertices, view)),
    )


def _mean_length(corners: Corners) -> float:
    return float(np.linalg.norm(corners.coordinates, axis=1).mean())


def regular_simplex(points: int) -> Array:
    """Vertices (k, k - 1) of a regular simplex by Helmert's basis, with edges of length sqrt(2)."""
    column, row = np.arange(1, points), np.arange(points)[:, None]
    entries = np.where(row < column, 1.0, np.where(row == column, -column, 0.0))
    return np.asarray(entries / np.sqrt(column * (column + 1)))

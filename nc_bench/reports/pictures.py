"""The pictures of a run: what was kept of some epochs for drawing, as `nc_bench.recording.picture` writes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nc_bench.config.training import PICTURES, log_spaced
from nc_bench.runs import RunError, RunTables
from nc_bench.runs.directory import FEATURES
from nc_bench.runs.files import read_arrays


@dataclass(frozen=True, kw_only=True)
class Points:
    """The samples of a split: whole numbers of `Picture.scale` in the coordinates of the simplex and on the polygon.

    coordinates (n, C) and polygon (n, 2), int16; labels, rows (their positions in the data), and their distance to the
    vertex of their class, (n,).
    """

    coordinates: NDArray[np.int16]
    polygon: NDArray[np.int16]
    labels: NDArray[np.int32]
    rows: NDArray[np.int32]
    distance: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Corners:
    """A vector of each class: in coordinates, (S, C) of the S <= 10 first classes, and on the polygon, (K, 2)."""

    coordinates: NDArray[np.float64]
    polygon: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One epoch. `scale` (2,) is that of coordinates and of the polygon.

    predicted: whether the radius of the vertices is a prediction, or else the mean radius of the class means.
    """

    epoch: int
    predicted: bool
    scale: NDArray[np.float64]
    train: Points
    test: Points
    means: Corners
    weight: Corners
    vertices: Corners

    def on_polygon(self, points: Points) -> NDArray[np.float64]:
        """Samples on the plane in which the K vertices form a regular K-gon, (n, 2)."""
        return points.polygon * self.scale[1]


def pictures(run: RunTables) -> list[Picture]:
    """The kept pictures in the order of their epochs, of more than 24 the log-spaced ones.

    RunError names a file that cannot be read.
    """
    paths = {int(path.stem.partition("-")[2]): path for path in (run.path / FEATURES).glob("picture-*.safetensors")}
    return [_picture(paths[epoch]) for epoch in log_spaced(sorted(paths), PICTURES)]


def _picture(path: Path) -> Picture:
    arrays, notes = read_arrays(path)
    try:
        return Picture(
            epoch=int(notes["epoch"]),
            predicted=notes["predicted"] == "true",
            scale=arrays["scale"],
            **{split: _points(arrays, split) for split in ("train", "test")},
            **{name: _corners(arrays, name) for name in ("means", "weight", "vertices")},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: damaged (holds no picture: {error})") from None


def _points(arrays: dict[str, NDArray[Any]], split: str) -> Any:
    return Points(
        coordinates=arrays[split],
        polygon=arrays[f"{split}_polygon"],
        labels=arrays[f"{split}_labels"],
        rows=arrays[f"{split}_rows"],
        distance=arrays[f"{split}_distance"],
    )


def _corners(arrays: dict[str, NDArray[Any]], name: str) -> Any:
    return Corners(coordinates=arrays[name], polygon=arrays[f"{name}_polygon"])

"""The figures of a run as files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from nc_bench.reports.curves import metric_curves
from nc_bench.reports.depth import depth_profile
from nc_bench.reports.plane import simplex_plane
from nc_bench.reports.style import DPI
from nc_bench.runs import RunTables
from nc_bench.runs.directory import FIGURES
from nc_bench.runs.files import write_bytes

__all__ = ["depth_profile", "metric_curves", "simplex_plane", "write_figures"]


def write_figures(run: RunTables) -> list[Path]:
    """Write the run's figures as PNG into its folder `figures`, and give their paths.

    A figure that this run does not have (no plane was recorded) leaves no file of an earlier time behind.
    RunError for a damaged file of features, OSError where the folder cannot be written.
    """
    folder = run.path / FIGURES
    folder.mkdir(exist_ok=True)
    written = []
    figures = {"metric_curves": metric_curves(run), "depth": depth_profile(run), "simplex_plane": simplex_plane(run)}
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        if figure is None:
            path.unlink(missing_ok=True)
        else:
            write_bytes(path, _png(figure))
            written.append(path)
    return written


def _png(figure: Figure) -> bytes:
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    return picture.getvalue()

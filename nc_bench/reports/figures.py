"""The figures of a run as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from nc_bench.reports.budget_areas import budget_areas
from nc_bench.reports.curves import metric_curves
from nc_bench.reports.depth import depth_profile
from nc_bench.reports.plane import simplex_plane
from nc_bench.reports.style import png
from nc_bench.runs import RunError, RunTables
from nc_bench.runs.directory import FIGURES
from nc_bench.runs.files import write_bytes
from nc_bench.telling import tell
from nc_bench.text import one_line

__all__ = ["budget_areas", "depth_profile", "metric_curves", "simplex_plane", "write_figures"]


FIGURES_OF_A_RUN: dict[str, Callable[[RunTables], Figure | None]] = {
    "metric_curves": metric_curves,
    "budget": budget_areas,
    "depth": depth_profile,
    "simplex_plane": simplex_plane,
}


def write_figures(run: RunTables) -> list[Path]:
    """Write the run's figures as PNG into its folder `figures`, and give their paths.

    A figure that this run does not have (no plane was recorded), or that cannot be drawn (features beyond what a
    picture can show), leaves no file of an earlier time behind; the latter is said on the standard error.
    RunError for a damaged file of features, OSError where the folder cannot be written.
    """
    folder = run.path / FIGURES
    folder.mkdir(exist_ok=True)
    written = []
    for name, draw in FIGURES_OF_A_RUN.items():
        path = folder / f"{name}.png"
        try:
            figure = draw(run)
            picture = None if figure is None else png(figure)
        except (OSError, RunError):
            raise
        except Exception as error:
            tell(f"{path}: cannot be drawn ({one_line(error)})")
            picture = None
        if picture is None:
            path.unlink(missing_ok=True)
        else:
            write_bytes(path, picture)
            written.append(path)
    return written


def shown_in_notebooks(figure: Figure) -> Figure:
    """The figure, with the method by which a notebook asks for its picture: pyplot, which adds it, is not used here."""
    vars(figure)["_repr_png_"] = lambda: png(figure)
    return figure

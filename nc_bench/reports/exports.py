"""What is made of a run beside its page: figures for a paper, and the animation; and the lines that say where."""

from __future__ import annotations

from collections.abc import Sequence

from nc_bench.paths import printable
from nc_bench.reports.animation import write_animation
from nc_bench.reports.paper import write_paper_figures
from nc_bench.runs import RunTables
from nc_bench.telling import tell


def write_exports(run: RunTables, *, formats: Sequence[str], width: float, animation: bool) -> None:
    """Write the figures for a paper in these formats and this width in inches, and the animation, and print where.

    What is left out is said in one line on the standard error. RunError, one line, where the run has not kept what it
    takes; OSError where it cannot be written.
    """
    if formats:
        print(f"for a paper, {width:g} inches wide (dashed: test samples; dotted: random directions):")
        for path in write_paper_figures(run, formats, width):
            print(f"  {printable(path)}")
    if animation:
        written, missing = write_animation(run)
        for path in written:
            print(f"animation: {printable(path)}")
        if missing:
            tell(missing)

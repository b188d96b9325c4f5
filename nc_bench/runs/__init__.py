"""Floor 3: the run directory and its files."""

from nc_bench.runs.directory import RunDirectory, RunError
from nc_bench.runs.load import Run, load_run

__all__ = ["Run", "RunDirectory", "RunError", "load_run"]

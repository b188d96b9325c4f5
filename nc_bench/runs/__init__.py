"""The run directory and its files."""

from nc_bench.errors import RunError
from nc_bench.runs.directory import RunDirectory
from nc_bench.runs.load import RunTables, read_run

__all__ = ["RunDirectory", "RunError", "RunTables", "read_run"]

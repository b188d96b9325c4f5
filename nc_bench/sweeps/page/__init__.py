"""The page of a sweep: its answer, table, curves, heat maps, differences and every trial, in one file."""

from nc_bench.sweeps.page.document import write_sweep_page

__all__ = ["write_sweep_page"]

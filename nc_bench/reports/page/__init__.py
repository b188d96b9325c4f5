"""The page of a run: one HTML file that holds its data, its style sheet and its scripts, and refers to nothing else."""

from nc_bench.reports.page.document import PAGE, write_page

__all__ = ["PAGE", "write_page"]

"""The page of several runs: what differs between them, their verdicts, curves and simplices beside each other."""

from nc_bench.reports.comparison.document import write_comparison

__all__ = ["write_comparison"]

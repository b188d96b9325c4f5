"""Tables, figures and the page of a run, from its directory alone and without torch."""

from nc_bench.reports.figures import depth_profile, metric_curves, simplex_plane, write_figures
from nc_bench.reports.page import write_page
from nc_bench.reports.render import render_run, write_report
from nc_bench.reports.sentence import sentence
from nc_bench.reports.table import summary_table

__all__ = [
    "depth_profile",
    "metric_curves",
    "render_run",
    "sentence",
    "simplex_plane",
    "summary_table",
    "write_figures",
    "write_page",
    "write_report",
]

"""What a user sees of a run: its table, the sentence, and where the files are."""

from __future__ import annotations

import textwrap
from pathlib import Path

from nc_bench.paths import printable
from nc_bench.reports.figures import write_figures
from nc_bench.reports.glance import glance_lines
from nc_bench.reports.page import write_page
from nc_bench.reports.sentence import sentence
from nc_bench.reports.table import WIDTH, summary_table
from nc_bench.runs import RunTables
from nc_bench.runs.directory import TABLE
from nc_bench.verdicts.judging import read_judged_run


def write_report(run: RunTables) -> tuple[Path, list[Path]]:
    """Write a run's figures and page; the path of the page, and those of the figures.

    RunError, one line, if a file of features is damaged; OSError where it cannot be written.
    """
    figures = write_figures(run)
    return write_page(run), figures


def render_run(run_dir: str | Path) -> RunTables:
    """Write a run's figures and page, and print a glance of it, sentence, table of claims and paths; the run.

    Needs no torch. RunError, one line, if the directory holds no run or a file in it is damaged; OSError where it
    cannot be written (the table and the sentence are printed all the same).
    """
    run = read_judged_run(run_dir)
    try:
        page, figures = write_report(run)
    finally:  # A folder that cannot be written hides no result, nor does an output that is closed keep from the page.
        print(glance_lines(run))
        print()
        print(textwrap.fill(sentence(run), WIDTH, break_on_hyphens=False))
        print()
        print(summary_table(run))
    table = run.path / TABLE
    print()
    for what, path in [("page", page), *(("figure", figure) for figure in figures), ("metrics", table)]:
        if path.exists():
            print(f"{what + ':':<9}{printable(path)}")
    return run

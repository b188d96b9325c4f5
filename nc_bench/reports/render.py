"""What a user sees of a run: its table, the sentence, and where the files are."""

from __future__ import annotations

import textwrap
from pathlib import Path

from nc_bench.reports.figures import write_figures
from nc_bench.reports.page import write_page
from nc_bench.reports.sentence import sentence
from nc_bench.reports.table import WIDTH, summary_table
from nc_bench.runs.directory import TABLE
from nc_bench.verdicts.judging import read_judged_run


def render_run(run_dir: str | Path) -> None:
    """Write a run's figures and page, and print its table of claims, its sentence and the paths.

    Needs no torch. RunError, one line, if the directory holds no run or a file in it is damaged; OSError where it
    cannot be written.
    """
    run = read_judged_run(run_dir)
    figures = write_figures(run)
    page = write_page(run, figures)
    table = run.path / TABLE
    print(summary_table(run))
    print()
    print(textwrap.fill(sentence(run), WIDTH, break_on_hyphens=False))
    print()
    for what, path in [("page", page), *(("figure", figure) for figure in figures), ("metrics", table)]:
        if path.exists():
            print(f"{what + ':':<9}{path}")

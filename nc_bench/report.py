"""nc-bench report DIR ...: shows a run, compares several, or shows a sweep."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nc_bench.commands import EXIT_OK, explain, run_command, say
from nc_bench.errors import RunError, SweepError, UserError
from nc_bench.parsing import CommandParser
from nc_bench.paths import expanded, printable
from nc_bench.text import did_you_mean

if TYPE_CHECKING:
    from nc_bench.runs import RunTables

COMPARISON = "comparison.html"
"""Where the page of several runs goes, in the current folder, unless --out says otherwise."""

FORMATS = ("pdf", "svg", "png")

COLUMN, NARROWEST, WIDEST = 3.25, 1.5, 20.0
"""Inches: a column of the two that ICML, CVPR and the like print, and what is drawn at all."""


def main(argv: Sequence[str] | None = None) -> int:
    """Show one run, or one sweep, or several runs beside each other; each problem is one line on standard error.

    A directory that cannot be read does not keep the other ones from being compared.
    Exit status: 0, 2 if a directory holds no run or a damaged one, 1 if one cannot be read or written.
    """
    return run_command(lambda: _report(parser().parse_args(argv)))


def parser() -> CommandParser:
    """What the command line may say."""
    parser = CommandParser(
        "report",
        "Of a run, print its table and what happened in it, and write its figures and page again. Of several runs, "
        "write a page that compares them. Of the folder of a sweep, write a page of all its trials.",
        examples=(
            "nc-bench report results/runs/digits_ball/*",
            "nc-bench report DIR --format pdf,svg --animation",
            "nc-bench report DIR --watch",
        ),
    )
    parser.add_argument(
        "directories", nargs="+", metavar="DIR", help="run directories, as train writes them, or one folder of a sweep"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="where the page of several runs (default: comparison.html) or of a sweep (default: DIR/report.html) goes",
    )
    parser.add_argument(
        "--format",
        type=_formats,
        default=(),
        metavar="pdf,svg,png",
        help="also write the figures for a paper, into DIR/figures/paper",
    )
    parser.add_argument(
        "--width", type=_inches, default=COLUMN, metavar="INCHES", help=f"their width (default: {COLUMN}, a column)"
    )
    parser.add_argument(
        "--animation",
        action="store_true",
        help="also write DIR/figures/simplex.gif, and .mp4 where ffmpeg is: the simplex appearing",
    )
    parser.add_argument("--watch", action="store_true", help="write the page again while the run goes on")
    return parser


def _report(arguments: argparse.Namespace) -> int:
    if arguments.watch:
        if len(arguments.directories) > 1:
            raise UserError(f"--watch: follows one run, not {len(arguments.directories)}")
        try:
            _watch(arguments.directories[0])
        except KeyboardInterrupt:  # how watching ends, and no reason to say anything
            return EXIT_OK
    out = None if arguments.out is None else expanded(arguments.out, key="--out")
    paths = _named_once(arguments.directories)
    if len(paths) > 1:
        return _compare(paths, out or Path(COMPARISON), arguments)
    if _is_sweep(paths[0]):
        return _show_sweep(paths[0], out, arguments)
    if out is not None:
        raise UserError("--out: is for the page of several runs or of a sweep; that of one run is DIR/report.html")
    _show_run(paths[0], arguments)
    return EXIT_OK


def _watch(directory: str) -> None:
    # Imported here, like all that takes time, so that Ctrl-C meanwhile ends in one line.
    from nc_bench.reports.watch import watch_run

    def say_where(page: Path) -> None:
        print(f"page: {printable(page)}, written again while the run goes on", flush=True)

    watch_run(directory, say_where)


def _show_run(path: Path, arguments: argparse.Namespace) -> None:
    from nc_bench.reports import render_run
    from nc_bench.runs.directory import CONFIG
    from nc_bench.sweeps.load import ANSWER

    if (path / ANSWER).is_file() and not (path / CONFIG).is_file():
        raise SweepError(f"{printable(path)}: holds the tables of a study; name the folder of its sweep")
    _export(render_run(path), arguments)


def _export(run: RunTables, arguments: argparse.Namespace) -> None:
    from nc_bench.reports.exports import write_exports

    write_exports(run, formats=arguments.format, width=arguments.width, animation=arguments.animation)


def _named_once(directories: Sequence[str]) -> list[Path]:
    """The directories in their order; of those that are named twice only the first, and a line that says so."""
    found: dict[Path, Path] = {}
    for directory in directories:
        path = expanded(directory)
        if path.resolve() in found:
            say(f"{printable(path)}: is named twice, as {printable(found[path.resolve()])}; it is shown once")
        else:
            found[path.resolve()] = path
    return list(found.values())


def _is_sweep(path: Path) -> bool:
    from nc_bench.sweeps.folder import BASE

    return (path / BASE).is_file()


def _compare(paths: Sequence[Path], out: Path, arguments: argparse.Namespace) -> int:
    from nc_bench.reports.comparison import write_comparison
    from nc_bench.reports.glance import glance_text

    runs: list[RunTables] = []
    worst = EXIT_OK
    for path in paths:
        try:
            runs.append(_readable(path))
        except Exception as error:
            if (explained := explain(error)) is None:
                raise
            status, line = explained
            say(line)
            worst = max(worst, status)
    if len(runs) < 2:
        raise RunError("nothing to compare: fewer than two of these directories hold a run")
    for run in runs:
        print(glance_text(run))
        _export(run, arguments)
    print(f"page: {printable(write_comparison(runs, out))}")
    return worst


def _readable(path: Path) -> RunTables:
    """The run in this directory. UserError, one line, if there is none, or one of another version of the software."""
    from nc_bench.reports.description import typed_config
    from nc_bench.verdicts.judging import read_judged_run

    if _is_sweep(path):
        raise SweepError(f"{printable(path)}: holds a sweep, whose page has all of its trials; name it alone")
    run = read_judged_run(path)
    typed_config(run)
    return run


def _show_sweep(path: Path, out: Path | None, arguments: argparse.Namespace) -> int:
    from nc_bench.sweeps.load import load_sweep
    from nc_bench.sweeps.page import write_sweep_page

    if arguments.format or arguments.animation:
        raise UserError(f"--format and --animation: are for runs, and {printable(path)} holds a sweep")
    tables = load_sweep(path)
    print(repr(tables))
    print(f"page: {printable(write_sweep_page(tables, out))}")
    return EXIT_OK


def _formats(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(text.lower().split(",")))
    for name in found:
        if name not in FORMATS:
            hint = did_you_mean(name, FORMATS) or f"there are {', '.join(FORMATS)}"
            raise argparse.ArgumentTypeError(f"no format is called '{name}'; {hint}")
    return found


def _inches(text: str) -> float:
    try:
        width = float(text)
    except ValueError:
        width = 0.0
    if not NARROWEST <= width <= WIDEST:
        raise argparse.ArgumentTypeError(f"{text} given, should be a number of inches from {NARROWEST} to {WIDEST}")
    return width


if __name__ == "__main__":
    sys.exit(main())

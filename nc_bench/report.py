"""nc-bench report DIR ...: shows finished runs and writes their figures and pages again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from nc_bench.commands import EXIT_OK, explain, run_command, say
from nc_bench.errors import UserError
from nc_bench.parsing import CommandParser
from nc_bench.text import did_you_mean

FORMATS = ("pdf", "svg", "png")

COLUMN, NARROWEST, WIDEST = 3.25, 1.5, 20.0
"""Inches: a column of the two that ICML, CVPR and the like print, and what is drawn at all."""


def main(argv: Sequence[str] | None = None) -> int:
    """Show every run directory named, even if another one cannot be shown; each problem is one line on standard error.

    Exit status: 0, 2 if a directory holds no run or a damaged one, 1 if one cannot be read or written.
    """
    return run_command(lambda: _report(parser().parse_args(argv)))


def parser() -> CommandParser:
    """What the command line may say."""
    parser = CommandParser(
        "report",
        "Print the table of each run and what happened in it, and write its figures and page again.",
        examples=(
            "nc-bench report results/runs/digits_ball/*",
            "nc-bench report DIR --format pdf,svg --animation",
            "nc-bench report DIR --watch",
        ),
    )
    parser.add_argument("directories", nargs="+", metavar="DIR", help="a run directory, as train writes it")
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
    return _each(arguments.directories, lambda directory: _show(directory, arguments))


def _watch(directory: str) -> None:
    # Imported here, like all that takes time, so that Ctrl-C meanwhile ends in one line.
    from nc_bench.reports.watch import watch_run

    watch_run(directory, lambda page: print(f"page: {page}, written again while the run goes on", flush=True))


def _show(directory: str, arguments: argparse.Namespace) -> None:
    from nc_bench.reports import render_run
    from nc_bench.reports.exports import write_exports

    run = render_run(directory)
    write_exports(run, formats=arguments.format, width=arguments.width, animation=arguments.animation)


def _each(directories: Sequence[str], show: Callable[[str], None]) -> int:
    worst = EXIT_OK
    for number, directory in enumerate(directories):
        if len(directories) > 1:
            print("\n" * (number > 0) + f"== {directory}")
        try:
            show(directory)
        except BrokenPipeError:
            raise
        except Exception as error:
            if (explained := explain(error)) is None:
                raise
            status, line = explained
            say(line)
            worst = max(worst, status)
    return worst


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

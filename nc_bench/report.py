"""nc-bench report DIR ...: shows finished runs and writes their figures and pages again."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from nc_bench.commands import EXIT_OK, explain, run_command, say
from nc_bench.parsing import CommandParser


def main(argv: Sequence[str] | None = None) -> int:
    """Show every run directory named, even if another one cannot be shown; each problem is one line on standard error.

    Exit status: 0, 2 if a directory holds no run or a damaged one, 1 if one cannot be read or written.
    """
    return run_command(lambda: _report(parser().parse_args(argv).directories))


def parser() -> CommandParser:
    """What the command line may say."""
    parser = CommandParser(
        "report",
        "Print the table of each run and what happened in it, and write its figures and page again.",
        examples=("nc-bench report results/runs/digits_ball/*",),
    )
    parser.add_argument("directories", nargs="+", metavar="DIR", help="a run directory, as train writes it")
    return parser


def _report(directories: Sequence[str]) -> int:
    # Imported here, like all that takes time, so that Ctrl-C meanwhile ends in one line.
    from nc_bench.reports import render_run

    worst = EXIT_OK
    for number, directory in enumerate(directories):
        if len(directories) > 1:
            print("\n" * (number > 0) + f"== {directory}")
        try:
            render_run(directory)
        except BrokenPipeError:
            raise
        except Exception as error:
            if (explained := explain(error)) is None:
                raise
            status, line = explained
            say(line)
            worst = max(worst, status)
    return worst


if __name__ == "__main__":
    sys.exit(main())

"""The command `python -m nc_bench.report DIR ...`: shows finished runs and writes their figures and pages again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from nc_bench.reports import present
from nc_bench.runs import RunError


def main(argv: Sequence[str] | None = None) -> int:
    """Present every run directory named; exit status 0, or 2 if one holds no run, is damaged or cannot be written.

    The others are presented all the same; each problem is one line on the standard error.
    """
    parser = argparse.ArgumentParser(
        prog="nc-bench report",
        description="Print the table of each run and what happened in it, and write its figures and page again.",
    )
    parser.add_argument("directories", nargs="+", metavar="DIR", help="a run directory, as train writes it")
    directories = parser.parse_args(argv).directories
    status = 0
    for number, directory in enumerate(directories):
        if len(directories) > 1:
            print("\n" * (number > 0) + f"== {directory}")
        try:
            present(directory)
        except RunError as error:
            status = _complain(str(error))
        except OSError as error:
            status = _complain(f"{error.filename or directory}: cannot be read or written ({error.strerror})")
    return status


def _complain(problem: str) -> int:
    print(f"nc-bench report: {problem}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())

"""nc-bench studies [FOLDER]: the studies there are, their questions, and how long they take."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from nc_bench.commands import EXIT_OK, run_command
from nc_bench.errors import UserError
from nc_bench.parsing import CommandParser

COLUMNS = 100


def main(argv: Sequence[str] | None = None) -> int:
    """List the sweep files of a folder that ask a question; exit status 2 if a file is wrong or there is none."""
    return run_command(lambda: _list(parser().parse_args(argv).folder or _own_folder()))


def parser() -> CommandParser:
    """What the command line may say."""
    parser = CommandParser(
        "studies",
        "List the studies: their questions, and how long they take.",
        examples=("nc-bench studies", "nc-bench sweep studies/depth --dry-run"),
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, help="default: configs/studies, or those that come with the package"
    )
    return parser


def _own_folder() -> Path:
    from nc_bench.config import SHIPPED

    here = Path("configs/studies")
    return here if here.is_dir() else SHIPPED / "studies"


def _list(folder: Path) -> int:
    # Imported here, like all that takes time, so that Ctrl-C meanwhile ends in one line.
    from nc_bench.sweeps.schema import read_sweep

    found = {path: read_sweep(path).study for path in sorted(folder.glob("*.yaml"))}
    studies = {path: study for path, study in found.items() if study is not None and study.question is not None}
    if not studies:
        raise UserError(f"{folder}: holds no study")
    for path, study in studies.items():
        print(path)
        print(textwrap.fill(study.question or "", COLUMNS, initial_indent="  ", subsequent_indent="  "))
        if study.expected_time is not None:
            print(f"  {study.expected_time}")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())

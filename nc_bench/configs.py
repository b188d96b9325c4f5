"""nc-bench configs: the configurations and studies that come with the package, a line each."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence

from nc_bench.commands import EXIT_OK, run_command
from nc_bench.parsing import CommandParser

COLUMNS = 120
"""Of a line where the standard output is no terminal."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the names with what each shows; exit status 2 for a wrong command line."""
    return run_command(lambda: _list(parser().parse_args(argv).words))


def parser() -> CommandParser:
    """What the command line may say."""
    parser = CommandParser(
        "configs",
        "List the configurations that come with the package, a line each: its name, and what it shows.",
        examples=("nc-bench configs", "nc-bench configs studies", "nc-bench configs mnist"),
        notes="nc-bench train NAME runs one from any folder, nc-bench sweep NAME one of studies/.",
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="only those whose line has one of these words")
    return parser


def _list(words: Sequence[str]) -> int:
    from nc_bench.config import shipped_names
    from nc_bench.text import shortened

    names = shipped_names()
    width, columns = max(map(len, names)), shutil.get_terminal_size((COLUMNS, 0)).columns
    lines = [f"{name:<{width}}  {shows(name)}" for name in names]
    found = [line for line in lines if not words or any(word.lower() in line.lower() for word in words)]
    for line in found:
        print(shortened(line, max(columns, width + 20)))
    return EXIT_OK


def shows(name: str) -> str:
    """What the comments at the top of a shipped file say first: the question of a study, or what is shown."""
    from nc_bench.config import find_config

    text = find_config(name).read_text(encoding="utf-8")
    said = re.search(r"^# (?:Question|Shows): (.*(?:\n#(?! \S+:).*)*)", text, re.MULTILINE)
    return " ".join(said[1].replace("\n#", " ").split()) if said else ""


if __name__ == "__main__":
    sys.exit(main())

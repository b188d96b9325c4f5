"""The command lines of `nc-bench NAME`: help with examples, and whatever is wrong refused in one line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from nc_bench.errors import UserError
from nc_bench.text import did_you_mean


class CommandParser(argparse.ArgumentParser):
    """The parser of one command, the same under `nc-bench NAME` and `python -m nc_bench.NAME`."""

    def __init__(self, name: str, description: str, *, examples: Sequence[str], notes: str = "") -> None:
        shown = "\n".join(["examples:", *(f"  {example}" for example in examples)])
        super().__init__(
            prog=f"nc-bench {name}",
            description=description,
            epilog=f"{shown}\n\n{notes}" if notes else shown,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.example = examples[0]

    def error(self, message: str) -> NoReturn:
        """Raises UserError: one line that names what was meant, or an example of what can be said."""
        raise UserError(f"{self.prog}: {message}; {self._hint(message)}")

    def _hint(self, message: str) -> str:
        unknown = re.match(r"unrecognized arguments: (-[^\s=]+)", message)
        near = did_you_mean(unknown[1], self._option_string_actions) if unknown else ""
        return near or f"{self.prog} --help lists what there is"


def parse_with_config(parser: CommandParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments of a command that takes a configuration: --config, or the first argument that is no override."""
    arguments = parser.parse_intermixed_args(argv)
    words = arguments.overrides
    if arguments.config is None and words and "=" not in words[0]:
        arguments.config, arguments.overrides = Path(words[0]), words[1:]
    return arguments


def parse_needing_config(parser: CommandParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The same for a command that cannot do without a configuration."""
    arguments = parse_with_config(parser, argv)
    if arguments.config is None:
        raise UserError(f"{parser.prog}: name a configuration, for example: {parser.example}")
    return arguments

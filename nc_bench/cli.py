"""The `nc-bench` command: finds the command that is asked for and hands the other arguments on to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module

from nc_bench import __version__
from nc_bench.commands import EXIT_OK, run_command
from nc_bench.errors import UserError
from nc_bench.text import did_you_mean

COMMANDS = {
    "train": "train a model and measure its collapse, as a configuration file says",
    "sweep": "run a grid of trials as one job, and answer a study's question from them",
    "studies": "list the studies: their questions, and how long they take",
    "report": "show one finished run or several: table, figures, page",
    "verify": "check every claim of the theory: predicted against solved or trained",
    "schema": "print the JSON Schema of configuration files",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `nc-bench COMMAND ...` and return its exit status: 0 for success, 2 for a wrong command line.

    The commands besides `schema` are the `main` of the modules of these names, which are imported
    only when they are used, so that `--help` and `schema` need no torch.
    """
    command, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if command in COMMANDS and command != "schema":
        return run_command(lambda: _run(command, rest))
    return run_command(lambda: _own(command, rest))


def _run(command: str, rest: Sequence[str]) -> int:
    status: int = import_module(f"nc_bench.{command}").main(rest)
    return status


def _own(command: str, rest: Sequence[str]) -> int:
    """What this module prints itself."""
    if command in ("-h", "--help"):
        print(_usage())
    elif command == "--version":
        print(f"nc-bench {__version__}")
    elif command == "schema":
        _print_schema(rest)
    else:
        hint = did_you_mean(command, COMMANDS) or f"the commands are {', '.join(COMMANDS)}"
        raise UserError(f"nc-bench: unknown command '{command}'; {hint}")
    return EXIT_OK


def _print_schema(rest: Sequence[str]) -> None:
    if rest:
        raise UserError(f"nc-bench schema: takes no arguments, not '{' '.join(rest)}'")
    from nc_bench.config import json_schema

    print(json.dumps(json_schema(), indent=2))


def _usage() -> str:
    lines = [f"  {command:<8}{meaning}" for command, meaning in COMMANDS.items()]
    return "\n".join(
        [
            "usage: nc-bench COMMAND ...",
            "",
            *lines,
            "",
            "nc-bench COMMAND --help says more; nc-bench --version prints the version.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())

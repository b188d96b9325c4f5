"""The `nc-bench` command: finds the command that is asked for and hands the other arguments on to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from nc_bench.commands import EXIT_OK, run_command

COMMANDS = {
    "train": "train a model and measure its collapse, as a configuration file says",
    "measure": "measure a trained model, or features on disk, without training",
    "sweep": "run a grid of trials as one job, and answer a study's question from them",
    "studies": "list the studies: their questions, and how long they take",
    "report": "show one finished run or several: table, figures, page",
    "verify": "check every claim of the theory: predicted against solved or trained",
    "configs": "list the configurations that come with the package: what each shows",
    "schema": "print the JSON Schema of configurations, sweep files or Slurm files",
}
"""Each is the `main` of the module of this name, which is imported only when it is used: help needs none of them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `nc-bench COMMAND ...` and return its exit status: 0 for success, 2 for a wrong command line."""
    command, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    return run_command(lambda: _run(command, rest))


def _run(command: str, rest: Sequence[str]) -> int:
    if "_ARGCOMPLETE" in os.environ:
        from nc_bench.completion import complete

        complete(COMMANDS)
    if command in COMMANDS:
        return main_of(command)(rest)
    if command in ("-h", "--help", "help"):
        print(_usage())
    elif command == "--version":
        from nc_bench import __version__

        print(f"nc-bench {__version__}")
    else:
        from nc_bench.errors import UserError
        from nc_bench.text import did_you_mean

        hint = did_you_mean(command, COMMANDS) or f"the commands are {', '.join(COMMANDS)}"
        raise UserError(f"nc-bench: unknown command '{command}'; {hint}")
    return EXIT_OK


def main_of(command: str) -> Callable[[Sequence[str]], int]:
    """The function of a command."""
    from importlib import import_module

    found: Callable[[Sequence[str]], int] = import_module(f"nc_bench.{command}").main
    return found


def _usage() -> str:
    lines = [f"  {command:<10}{meaning}" for command, meaning in COMMANDS.items()]
    return "\n".join(
        [
            "usage: nc-bench COMMAND ...",
            "",
            *lines,
            "",
            "nc-bench COMMAND --help says more; nc-bench --version prints the version.",
            "For a start: nc-bench train digits_ball",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())

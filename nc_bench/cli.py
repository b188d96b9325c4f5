"""The `nc-bench` command: finds the command that is asked for and hands the other arguments on to it."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from importlib import import_module

from nc_bench import __version__
from nc_bench.commands import EXIT_OK, run_command
from nc_bench.errors import UserError
from nc_bench.text import did_you_mean

COLUMNS = 100

COMMANDS = {
    "train": "train a model and measure its collapse, as a configuration file says",
    "measure": "measure a trained model, or features on disk, without training",
    "sweep": "run a grid of trials as one job, and answer a study's question from them",
    "studies": "list the studies: their questions, and how long they take",
    "report": "show one finished run or several: table, figures, page",
    "verify": "check every claim of the theory: predicted against solved or trained",
    "configs": "list the configurations that come with the package: what each shows",
    "schema": "print the JSON Schema of configuration files",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `nc-bench COMMAND ...` and return its exit status: 0 for success, 2 for a wrong command line.

    The commands besides those of `OWN` are the `main` of the modules of these names, which are imported
    only when they are used, so that these and `--help` need no torch.
    """
    command, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if command in COMMANDS and command not in OWN:
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
    elif command in OWN:
        if rest:
            raise UserError(f"nc-bench {command}: takes no arguments, not '{' '.join(rest)}'")
        OWN[command]()
    else:
        hint = did_you_mean(command, COMMANDS) or f"the commands are {', '.join(COMMANDS)}"
        raise UserError(f"nc-bench: unknown command '{command}'; {hint}")
    return EXIT_OK


def _print_schema() -> None:
    from nc_bench.config import json_schema

    print(json.dumps(json_schema(), indent=2))


def _print_configs() -> None:
    """The name of every shipped configuration, and what the comments at the top of its file say that it shows."""
    from nc_bench.config import find_config, shipped_names

    for name in shipped_names():
        text = find_config(name).read_text(encoding="utf-8")
        shows = re.search(r"^# Shows: (.*(?:\n#(?! \w+:).*)*)", text, re.MULTILINE)
        print(name)
        if shows is not None:
            said = " ".join(shows[1].replace("\n#", " ").split())
            print(textwrap.fill(said, COLUMNS, initial_indent="  ", subsequent_indent="  "))


OWN: dict[str, Callable[[], None]] = {"configs": _print_configs, "schema": _print_schema}
"""The commands that this module is itself."""


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

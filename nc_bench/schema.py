"""nc-bench schema: the JSON Schema of configurations, sweep files and Slurm files, for editors that check YAML."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from nc_bench.commands import EXIT_OK, run_command
from nc_bench.parsing import CommandParser

KINDS = ("config", "sweep", "slurm")


def main(argv: Sequence[str] | None = None) -> int:
    """Print a schema; exit status 2 for a wrong command line."""
    return run_command(lambda: _print(parser().parse_args(argv).kind))


def parser() -> CommandParser:
    """What the command line may say."""
    parser = CommandParser(
        "schema",
        "Print the JSON Schema of a kind of file: every field with its meaning, values and default.",
        examples=("nc-bench schema", "nc-bench schema sweep > sweep.json"),
        notes="An editor with the YAML language server checks and completes a file that has a line such as\n"
        "  # yaml-language-server: $schema=sweep.json",
    )
    parser.add_argument("kind", nargs="?", choices=KINDS, default=KINDS[0], help="default: config")
    return parser


def _print(kind: str) -> int:
    print(schema_text(kind), end="")
    return EXIT_OK


def schema_text(kind: str) -> str:
    """The schema of a kind of file, one of KINDS, as it is printed."""
    return json.dumps(_schema(kind), indent=1, ensure_ascii=False) + "\n"


def _schema(kind: str) -> dict[str, Any]:
    from nc_bench.config import json_schema

    if kind == "sweep":
        from nc_bench.sweeps.schema import sweep_schema

        return sweep_schema()
    if kind == "slurm":
        from nc_bench.config.schema import schema_of
        from nc_bench.sweeps.slurm_file import Slurm

        return schema_of(Slurm)
    return json_schema()


if __name__ == "__main__":
    sys.exit(main())

"""nc-bench train NAME [--out DIR] [--resume] [--settle] [dotted.key=value ...], as python -m nc_bench.train too."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nc_bench.commands import EXIT_OF_STATUS, run_command
from nc_bench.parsing import CommandParser, parse_needing_config
from nc_bench.paths import default_folder
from nc_bench.telling import progress_shown


def main(argv: list[str] | None = None) -> int:
    """Train one run and show what happened.

    Exit status: 0 complete, 1 memory, disk or another process failed, 2 refused, 3 diverged, 130 interrupted.
    """
    return run_command(lambda: _train(parse_needing_config(parser(), argv)))


def _train(arguments: argparse.Namespace) -> int:
    # Imported here, like all that takes time, so that Ctrl-C meanwhile ends in one line; and pandas, which the API
    # needs, after a wrong configuration is refused.
    from nc_bench.config import load_config

    config = load_config(arguments.config, arguments.overrides)
    folder = arguments.out or default_folder(arguments.config)

    from nc_bench.api import default_directory, train_and_show, write_page_of

    directory = arguments.out or default_directory(config, folder, arguments.resume)
    status = train_and_show(
        config,
        directory,
        write_page_of if arguments.quiet else _show,
        resume=arguments.resume,
        settle=arguments.settle,
        progress=progress_shown(quiet=arguments.quiet),
    )
    return EXIT_OF_STATUS[status]


def _show(directory: Path, status: str) -> None:
    from nc_bench.reports import render_run

    render_run(directory)
    if status == "interrupted":
        print(f"interrupted; go on with --resume --out {directory}")
    sys.stdout.flush()


def parser() -> CommandParser:
    """What the command line may say."""
    parser = CommandParser(
        "train",
        "Train one run, record its neural-collapse metrics, and compare them with theory.",
        examples=(
            "nc-bench train digits_ball",
            "nc-bench train digits_ball data.labels=random training.epochs=100",
            "nc-bench train --config my.yaml --out DIR --resume",
        ),
    )
    parser.add_argument(
        "--config",
        type=Path,
        help="YAML file (see `nc-bench schema`), or the name of a shipped one (see `nc-bench configs`)",
    )
    parser.add_argument("--out", type=Path, help="run directory (default: results/runs/<config name>/<time>)")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --out, or with the newest of this configuration",
    )
    parser.add_argument(
        "--settle",
        action="store_true",
        help="train the run a second time, three times as long with its schedule stretched, and say of every claim "
        "whether its value still moves",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but warnings and errors")
    parser.add_argument("overrides", nargs="*", metavar="dotted.key=value", help="for example optimizer.lr=0.1")
    return parser


if __name__ == "__main__":
    sys.exit(main())

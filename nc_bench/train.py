"""python -m nc_bench.train --config FILE [--out DIR] [--resume] [dotted.key=value ...]"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nc_bench.commands import EXIT_OF_STATUS, parse_with_config, run_command
from nc_bench.paths import default_folder


def main(argv: list[str] | None = None) -> int:
    """Train one run and show what happened.

    Exit status: 0 complete, 1 memory, disk or another process failed, 2 refused, 3 diverged, 130 interrupted.
    """
    return run_command(lambda: _train(_parsed(argv)))


def _train(arguments: argparse.Namespace) -> int:
    # Imported here, like all that takes time, so that Ctrl-C meanwhile ends in one line.
    from nc_bench.api import default_directory, train_and_show
    from nc_bench.config import load_config

    config = load_config(arguments.config, arguments.overrides)
    directory = arguments.out or default_directory(config, default_folder(arguments.config), arguments.resume)
    return EXIT_OF_STATUS[train_and_show(config, directory, _show, resume=arguments.resume, settle=arguments.settle)]


def _show(directory: Path, status: str) -> None:
    from nc_bench.reports import render_run

    render_run(directory)
    if status == "interrupted":
        print(f"interrupted; go on with --resume --out {directory}")
    sys.stdout.flush()


def _parsed(argv: list[str] | None) -> argparse.Namespace:
    parser = _parser()
    arguments = parse_with_config(parser, argv)
    if arguments.config is None:
        parser.error("the following arguments are required: --config")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nc_bench.train",
        description="Train one run, record its neural-collapse metrics, and hold them against theory.",
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
    parser.add_argument("overrides", nargs="*", metavar="dotted.key=value", help="for example optimizer.lr=0.1")
    return parser


if __name__ == "__main__":
    sys.exit(main())

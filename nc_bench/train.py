"""python -m nc_bench.train --config FILE [--out DIR] [--resume] [dotted.key=value ...]"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nc_bench.commands import EXIT_DIVERGED, EXIT_INTERRUPTED, EXIT_OK, default_folder, run_command, say
from nc_bench.text import one_line

if TYPE_CHECKING:
    from nc_bench.config import Config

EXIT = {"complete": EXIT_OK, "diverged": EXIT_DIVERGED, "interrupted": EXIT_INTERRUPTED}


def main(argv: list[str] | None = None) -> int:
    """Train one run and show what happened.

    Exit status: 0 complete, 1 memory, disk or another process failed, 2 refused, 3 diverged, 130 interrupted.
    """
    return run_command(lambda: _train(_parser().parse_intermixed_args(argv)))


def _train(arguments: argparse.Namespace) -> int:
    # Imported here, like all that takes time, so that Ctrl-C meanwhile ends in one line.
    from nc_bench.config import load_config

    config = load_config(arguments.config, arguments.overrides)
    directory = arguments.out or _default_directory(config, default_folder(arguments.config), arguments.resume)
    # torch takes a second to import: a wrong configuration is refused before that.
    from nc_bench.reports import render_run
    from nc_bench.training import run_training, settle
    from nc_bench.verdicts.twin import stretched

    if arguments.settle:
        stretched(config)  # what has no longer twin is refused before anything is trained
    status = run_training(config, directory, resume=arguments.resume)
    if arguments.settle and status == "complete":
        status = settle(config, directory)
    if os.environ.get("RANK", "0") == "0":
        _show(render_run, directory, status)
    return EXIT[status]


def _show(render_run: Callable[[Path], None], directory: Path, status: str) -> None:
    """Show the run. What cannot be shown is said in one line and changes nothing: the run has ended as it has."""
    try:
        render_run(directory)
        if status == "interrupted":
            print(f"interrupted; go on with --resume --out {directory}")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except Exception as error:
        say(f"{directory}: the run is kept, but not all of it could be shown: {one_line(error)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nc_bench.train",
        description="Train one run, record its neural-collapse metrics, and hold them against theory.",
    )
    parser.add_argument("--config", type=Path, required=True, help="YAML file, see configs/ and `nc-bench schema`")
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


def _default_directory(config: Config, folder: Path, resume: bool) -> Path:
    """A new directory named by the time; to resume, the newest one of the same configuration if there is one."""
    from nc_bench.config import ConfigError, config_hash, load_config

    if resume:
        for path in sorted(folder.glob("*/config.yaml"), reverse=True):
            try:
                if config_hash(load_config(path)) == config_hash(config):
                    return path.parent
            except ConfigError:
                continue
    return folder / datetime.now().strftime("%Y-%m-%d-%H%M%S.%f")


if __name__ == "__main__":
    sys.exit(main())

"""nc-bench sweep NAME [--out DIR] [dotted.key=value ...], as python -m nc_bench.sweep too.

[--workers N | --scheduler ADDRESS | --slurm FILE] [--dry-run | --status | --retry-failed] [--yes] [--no-ensemble]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from nc_bench.commands import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, run_command, say
from nc_bench.parsing import CommandParser, parse_needing_config
from nc_bench.paths import default_folder
from nc_bench.telling import duration, progress_shown
from nc_bench.text import plain

if TYPE_CHECKING:
    from nc_bench.sweeps.clusters import Workers
    from nc_bench.sweeps.folder import SweepFolder
    from nc_bench.sweeps.grid import Grid

MAX_FAILURES_SHOWN, MAX_TRIALS_SHOWN = 10, 20


def main(argv: Sequence[str] | None = None) -> int:
    """Run the unfinished trials of a sweep, then make its study's table, figure and sentence from all of them.

    Exit status: 0 all trials are finished, 1 some failed, or the disk or the scheduler did, 2 refused, 130 interrupted.
    """
    return run_command(lambda: _sweep(parse_needing_config(parser(), argv)))


def _sweep(arguments: argparse.Namespace) -> int:
    # Imported here, like all that takes time, so that Ctrl-C meanwhile ends in one line.
    from nc_bench.config import find_config
    from nc_bench.sweeps.grid import load_grid
    from nc_bench.sweeps.slurm_file import read_slurm

    if arguments.slurm is not None:
        read_slurm(arguments.slurm)  # what is wrong in it is refused before any work
    grid = load_grid(find_config(arguments.config), arguments.overrides, any_size=arguments.yes)

    # These import torch, which takes a second: a wrong file has been refused.
    from nc_bench.sweeps.checks import check_plugins, check_study
    from nc_bench.sweeps.folder import SweepFolder

    check_plugins(grid, arguments.config)
    check_study(grid, arguments.config)
    folder = SweepFolder(arguments.out or default_folder(arguments.config))
    folder.check(grid)
    if arguments.status:
        return _status(grid, folder)
    if arguments.dry_run:
        return _dry_run(grid, folder, arguments)
    return _run(grid, folder, arguments)


def _run(grid: Grid, folder: SweepFolder, arguments: argparse.Namespace) -> int:
    # torch and Dask take seconds to import: a wrong file is refused before that.
    from nc_bench.sweeps.engine import pending, run_trials
    from nc_bench.sweeps.outcome import write_study

    folder.lock(grid)
    try:
        if arguments.retry_failed:
            folder.forget_failures()
        trials = pending(grid.trials, folder.states(grid.trials))
        if trials:
            try:
                with _workers(arguments, grid, folder) as workers:
                    show = progress_shown(quiet=arguments.quiet)
                    run_trials(trials, folder, workers, stacked=arguments.ensemble, show=show)
            except KeyboardInterrupt:
                say("interrupted; the same command continues the sweep")
                return EXIT_INTERRUPTED
        status = _status(grid, folder, quiet=arguments.quiet)
        told = write_study(grid, folder, arguments.study_out or folder.path / "study", _command(arguments))
        if not arguments.quiet:
            print(told)
        return status
    finally:
        folder.release()


def _dry_run(grid: Grid, folder: SweepFolder, arguments: argparse.Namespace) -> int:
    from nc_bench.sweeps.clusters import gpu_count, local_number, local_threads
    from nc_bench.sweeps.engine import grouped, pending
    from nc_bench.sweeps.estimate import estimate

    states = folder.states(grid.trials)
    for point in grid.points[:MAX_TRIALS_SHOWN]:
        labels = ", ".join(f"{column} {value}" for column, value in point.cell.items())
        print(f"{point.id}  {states[point.id].value:<9} seed {point.seed}  {plain(labels)}")
    if len(grid.points) > MAX_TRIALS_SHOWN:
        print(f"... and {len(grid.points) - MAX_TRIALS_SHOWN:,} more")
    trials = pending(grid.trials, states)
    workers = arguments.workers or local_number(gpu_count())
    programs = grouped(trials, workers, stacked=arguments.ensemble)
    guess = estimate(folder, trials, programs, workers=workers, threads=local_threads(workers))
    print(f"{len(trials):,} of {len(grid.trials):,} trials are to be run, in {len(programs):,} programs")
    if guess.seconds is None:
        print(f"time not estimated: {guess.basis}")
    else:
        print(f"about {duration(guess.seconds)} on {workers} workers, from {guess.basis}")
    return EXIT_OK


def _status(grid: Grid, folder: SweepFolder, *, quiet: bool = False) -> int:
    """Print how many trials are in each state, and the errors of those that failed; only these if it is quiet."""
    from nc_bench.sweeps.folder import State

    states = folder.states(grid.trials)
    counts = Counter(states.values())
    parts = ", ".join(f"{counts[state]:,} {state.value}" for state in State if counts[state])
    if not quiet:
        print(f"{folder.path}: {parts} of {len(states):,} trials")
    failures = folder.failures(trial for trial, state in states.items() if state is State.FAILED)
    for trial, error in list(failures.items())[:MAX_FAILURES_SHOWN]:
        print(f"  {trial} failed: {plain(error)}")
    if len(failures) > MAX_FAILURES_SHOWN:
        print(f"  ... and {len(failures) - MAX_FAILURES_SHOWN:,} more failed; --retry-failed tries them again")
    return EXIT_FAILED if failures else EXIT_OK


def _workers(arguments: argparse.Namespace, grid: Grid, folder: SweepFolder) -> AbstractContextManager[Workers]:
    from nc_bench.sweeps.clusters import gpu_count, local_workers, remote_workers
    from nc_bench.sweeps.folder import SLURM_LOGS
    from nc_bench.sweeps.slurm import slurm_workers

    if arguments.scheduler:
        return remote_workers(arguments.scheduler)
    if arguments.slurm:
        return slurm_workers(arguments.slurm, folder.path / SLURM_LOGS)
    return local_workers(arguments.workers, gpus=0 if grid.base.device == "cpu" else gpu_count())


def _command(arguments: argparse.Namespace) -> str:
    return " ".join(["python -m nc_bench.sweep --config", str(arguments.config), *arguments.overrides])


def parser() -> CommandParser:
    """What the command line may say."""
    parser = CommandParser(
        "sweep",
        "Run a grid of trials as one job; make a table and a figure, and answer the study's question.",
        examples=(
            "nc-bench sweep studies/depth --dry-run",
            "nc-bench sweep --config my_sweep.yaml --workers 4",
            "nc-bench sweep --config my_sweep.yaml --slurm cluster.yaml",
        ),
        notes="A trial that has finished is never run again, one that was interrupted goes on, and a changed axis\n"
        "adds only what is new. The study's results go to the subfolder study, or where --study-out says.",
    )
    parser.add_argument("--config", type=Path, help="sweep file, or a shipped one: studies/depth")
    parser.add_argument("--out", type=Path, help="folder of the trials (default: results/runs/<name>)")
    parser.add_argument("--study-out", type=Path, metavar="DIR", help="folder of the study's results")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=_count, help="processes on this machine (default: one per GPU, or per core)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="a running Dask scheduler; its workers see our files")
    where.add_argument(
        "--slurm", type=Path, metavar="FILE", help="YAML file: jobs, cores, walltime, ... (examples/cluster)"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="print the trials and how long they would take")
    what.add_argument("--status", action="store_true", help="print how many trials are in each state")
    what.add_argument("--retry-failed", action="store_true", help="also run the trials that failed")
    parser.add_argument("--yes", action="store_true", help="run a grid of more than 10,000 trials")
    parser.add_argument("--quiet", action="store_true", help="print nothing but warnings and errors")
    parser.add_argument(
        "--no-ensemble", dest="ensemble", action="store_false", help="train trials one by one, not in stacks"
    )
    parser.add_argument("overrides", nargs="*", metavar="dotted.key=value", help="changes of the base configuration")
    return parser


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} given, should be a whole number of at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())

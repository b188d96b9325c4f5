"""The longer twin of a run: trained in the run's directory, after which the run is judged again."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from nc_bench.config import Config
from nc_bench.distributed import process_group
from nc_bench.runs import RunDirectory
from nc_bench.telling import Show
from nc_bench.training.run import run_training
from nc_bench.verdicts.judging import expectations_of, judge_run, null_of
from nc_bench.verdicts.twin import stretched, twin_folder


def settle(config: Config, directory: Path, *, show: Show = "bar") -> str:
    """Train the twin of the complete run in `directory`, three times as long, or go on with it; its status.

    Where the twin is complete the run's predictions.json says what has moved from T to 3T, and is judged by that.
    Raises as `run_training` does, and ConfigError for a run that is not trained.
    """
    status = run_training(stretched(config), twin_folder(directory, config), resume=True, show=show)
    if status == "complete":
        with process_group() as processes:
            processes.on_rank0(partial(judge_again, config, directory))
    return status


def judge_again(config: Config, directory: Path) -> None:
    """Write the verdicts of a run that is over once more, from its rows and those of its twin."""
    run = RunDirectory(directory)
    try:
        run.lock(config, resume=True)
        facts = run.held
        made = judge_run(run, config, expectations_of(config, facts), null_of(facts), facts)
        run.write_manifest({**facts, "files": {**facts.get("files", {}), **made}})
    finally:
        run.release()

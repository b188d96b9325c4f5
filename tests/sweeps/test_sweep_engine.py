"""Sweeps on real worker processes: failing trials, bugs, no memory, a changed grid."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sweep_files import run_grid, write_sweep, written

from nc_bench.config import dump_config
from nc_bench.errors import SweepError
from nc_bench.sweep import main
from nc_bench.sweeps.clusters import Workers, local_workers
from nc_bench.sweeps.engine import grouped, pending, run_trials
from nc_bench.sweeps.folder import State, SweepFolder
from nc_bench.sweeps.grid import load_grid


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with local_workers(2, gpus=0) as running:
        yield running


def test_workers_share_the_cores(workers: Workers) -> None:
    cores = len(os.sched_getaffinity(0))
    assert workers.number == 2 and workers.threads == max(1, cores // 2)


def test_a_changed_axis_adds_only_the_new_trials(tmp_path: Path, workers: Workers) -> None:
    folder = SweepFolder(tmp_path / "out")
    grid = load_grid(write_sweep(tmp_path, axes={"optimizer.lr": [0.01, 0.02]}, seeds=2))
    assert set(run_grid(grid, folder, workers).values()) == {State.COMPLETE}
    before = written(folder)
    assert len(before) == 4
    wider = load_grid(write_sweep(tmp_path, axes={"optimizer.lr": [0.02, 0.03, 0.01]}, seeds=2))
    assert len(pending(wider.trials, folder.states(wider.trials))) == 2
    assert set(run_grid(wider, folder, workers).values()) == {State.COMPLETE}
    after = written(folder)
    assert len(after) == 6 and before.items() <= after.items()


def test_a_failing_trial_is_recorded_and_the_others_go_on(tmp_path: Path, workers: Workers) -> None:
    """The data set of one arm is not there; with it in a stack are trials whose data are."""
    folder = SweepFolder(tmp_path / "out")
    absent = {"settings": {"data": {"name": "mnist", "root": str(tmp_path / "nowhere")}}}
    grid = load_grid(write_sweep(tmp_path, arms={"here": {}, "absent": absent}, seeds=2))
    states = run_grid(grid, folder, workers)
    by_arm = {(point.cell["arm"], states[point.id]) for point in grid.points}
    assert by_arm == {("here", State.COMPLETE), ("absent", State.FAILED)}
    errors = folder.failures(grid.trials)
    assert len(errors) == 2 and all("mnist" in error and "\n" not in error for error in errors.values())
    kept = [json.loads(file.read_text()) for file in (tmp_path / "out" / "failures").iterdir()]
    assert [failure["traceback"] for failure in kept] == [None, None], "a missing data set is no bug"
    assert not pending(grid.trials, folder.states(grid.trials))
    folder.forget_failures()
    assert len(pending(grid.trials, folder.states(grid.trials))) == 2


def test_one_bad_trial_of_a_stack_does_not_fail_the_others(tmp_path: Path, workers: Workers) -> None:
    folder = SweepFolder(tmp_path / "out")
    grid = load_grid(write_sweep(tmp_path, seeds=4))
    trials = list(grid.trials)
    folder.lock(grid)
    folder.directory(trials[2]).mkdir(parents=True)
    (folder.directory(trials[2]) / "config.yaml").write_text("damaged: [")
    run_trials(grid.trials, folder, workers)
    folder.release()
    states = folder.states(trials)
    assert [states[trial] for trial in trials].count(State.COMPLETE) == 3
    assert states[trials[2]] is State.FAILED and "config.yaml" in folder.failures(trials)[trials[2]]


def test_a_bug_is_recorded_with_its_traceback_and_said_in_one_line(
    tmp_path: Path, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_seed_13() -> None:
        from nc_bench.sweeps import work
        from nc_bench.training import run_ensemble as train

        def buggy(configs: Any, *rest: Any, **options: Any) -> Any:
            if any(config.seed == 13 for config in configs):
                raise ValueError("a bug")
            return train(configs, *rest, **options)

        vars(work)["run_ensemble"] = buggy

    workers.client.run(break_seed_13)
    folder, path = SweepFolder(tmp_path / "out"), write_sweep(tmp_path, seeds=[0, 1, 13])
    grid = load_grid(path)
    states = run_grid(grid, folder, workers)
    complete = {0: State.COMPLETE, 1: State.COMPLETE}
    assert {point.seed: states[point.id] for point in grid.points} == complete | {13: State.FAILED}
    (failure,) = (json.loads(file.read_text()) for file in (tmp_path / "out" / "failures").iterdir())
    assert failure["error"].startswith("ValueError: a bug (test_sweep_engine.py, line ")
    assert failure["traceback"].startswith("Traceback") and failure["traceback"].endswith("ValueError: a bug\n")
    assert main(["--config", str(path), "--out", str(tmp_path / "out"), "--status"]) == 1
    said = capsys.readouterr()
    assert f"{failure['trial']} failed: {failure['error']}\n" in said.out and "Traceback" not in said.out + said.err


def test_a_trial_without_memory_is_told_which_setting_helps(tmp_path: Path, workers: Workers) -> None:
    folder = SweepFolder(tmp_path / "out")
    arms = {"fits": {}, "does not": {"settings": {"model.widths": [4, 10**6, 10**6, 4]}}}
    grid = load_grid(write_sweep(tmp_path, arms=arms))
    states = run_grid(grid, folder, workers)
    assert set(states.values()) == {State.COMPLETE, State.FAILED}
    (error,) = folder.failures(grid.trials).values()
    assert error.startswith("out of memory: lower training.batch_size or the model's width")


def test_groups_are_at_least_as_many_as_workers_and_single_on_request(tmp_path: Path) -> None:
    trials = load_grid(write_sweep(tmp_path, seeds=9)).trials
    assert sorted(map(len, grouped(trials, 2, stacked=True))) == [4, 5]
    assert [len(group) for group in grouped(trials, 2, stacked=False)] == [1] * 9
    assert sorted(trial for group in grouped(trials, 2, stacked=True) for trial in group) == sorted(trials)


def test_a_folder_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    grid = load_grid(write_sweep(tmp_path))
    folder = SweepFolder(tmp_path / "out")
    folder.lock(grid)
    folder.release()
    (trial, config), *_ = grid.trials.items()
    folder.directory(trial).mkdir(parents=True)
    (folder.directory(trial) / "config.yaml").write_text(dump_config(config))
    folder.check(grid)
    folder.directory(trial).rename(folder.directory("0123456789abcdef"))
    with pytest.raises(SweepError, match=r"out: was made by an earlier version .*; choose another --out$"):
        folder.check(grid)

"""Sweeps on real worker processes: killed workers, a killed driver, failing trials, a changed grid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sweep_files import ARMS, BASE, STUDY, write_sweep

from nc_bench.config import dump_config
from nc_bench.errors import SweepError
from nc_bench.sweep import main
from nc_bench.sweeps.clusters import Workers, local_workers
from nc_bench.sweeps.engine import grouped, pending, run_trials
from nc_bench.sweeps.folder import State, SweepFolder
from nc_bench.sweeps.grid import Grid, load_grid

LONG = {"training.epochs": 40}
TOO_LONG = {"training.epochs": 400}
"""More than can be done while a sweep is being ended."""
TIMEOUT = 120.0


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with local_workers(2, gpus=0) as running:
        yield running


def run(grid: Grid, folder: SweepFolder, workers: Workers, **options: Any) -> dict[str, State]:
    folder.lock(grid)
    try:
        run_trials(pending(grid.trials, folder.states(grid.trials)), folder, workers, **options)
    finally:
        folder.release()
    return folder.states(grid.trials)


def written(folder: SweepFolder) -> dict[Path, int]:
    """When every manifest was last written: a trial that is not run again does not change it."""
    return {path: path.stat().st_mtime_ns for path in folder.path.glob("trials/*/manifest.json")}


def wait_for(condition: Any) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_workers_share_the_cores(workers: Workers) -> None:
    cores = len(os.sched_getaffinity(0))
    assert workers.number == 2 and workers.threads == max(1, cores // 2)


def test_a_changed_axis_adds_only_the_new_trials(tmp_path: Path, workers: Workers) -> None:
    folder = SweepFolder(tmp_path / "out")
    grid = load_grid(write_sweep(tmp_path, axes={"optimizer.lr": [0.01, 0.02]}, seeds=2))
    assert set(run(grid, folder, workers).values()) == {State.COMPLETE}
    before = written(folder)
    assert len(before) == 4
    wider = load_grid(write_sweep(tmp_path, axes={"optimizer.lr": [0.02, 0.03, 0.01]}, seeds=2))
    assert len(pending(wider.trials, folder.states(wider.trials))) == 2
    assert set(run(wider, folder, workers).values()) == {State.COMPLETE}
    after = written(folder)
    assert len(after) == 6 and before.items() <= after.items()


def test_a_failing_trial_is_recorded_and_the_others_go_on(tmp_path: Path, workers: Workers) -> None:
    """The data set of one arm is not there; with it in a stack are trials whose data are."""
    folder = SweepFolder(tmp_path / "out")
    absent = {"settings": {"data": {"name": "mnist", "root": str(tmp_path / "nowhere")}}}
    grid = load_grid(write_sweep(tmp_path, arms={"here": {}, "absent": absent}, seeds=2))
    states = run(grid, folder, workers)
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
    states = run(grid, folder, workers)
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
    states = run(grid, folder, workers)
    assert set(states.values()) == {State.COMPLETE, State.FAILED}
    (error,) = folder.failures(grid.trials).values()
    assert error.startswith("out of memory: lower training.batch_size or the model's width")


def test_groups_are_at_least_as_many_as_workers_and_single_on_request(tmp_path: Path) -> None:
    trials = load_grid(write_sweep(tmp_path, seeds=9)).trials
    assert sorted(map(len, grouped(trials, 2, stacked=True))) == [4, 5]
    assert [len(group) for group in grouped(trials, 2, stacked=False)] == [1] * 9
    assert sorted(trial for group in grouped(trials, 2, stacked=True) for trial in group) == sorted(trials)


@pytest.mark.slow
def test_a_killed_worker_costs_no_trial(tmp_path: Path) -> None:
    """SIGKILL to a worker in the middle of its trials: they go on elsewhere, and finished ones are left alone."""
    folder = SweepFolder(tmp_path / "out")
    done = load_grid(write_sweep(tmp_path, settings=LONG, seeds=1))
    grid = load_grid(write_sweep(tmp_path, settings=LONG, seeds=4))
    with local_workers(1, gpus=0) as workers:
        run(done, folder, workers)
        before = written(folder)
        pid = next(iter(workers.client.run(os.getpid).values()))
        killer = _kill_when(folder, "checkpoint.pt", at_least=2, pid=pid)
        states = run(grid, folder, workers)
        assert killer.wait(TIMEOUT) == 0
        assert next(iter(workers.client.run(os.getpid).values())) != pid
    assert set(states.values()) == {State.COMPLETE}
    assert before.items() <= written(folder).items()
    assert not folder.failures(grid.trials)


@pytest.mark.slow
def test_a_worker_that_dies_every_time_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that takes its worker down is recorded as failed after bounded retries, and the others go on."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    (tmp_path / "sitecustomize.py").write_text(DEADLY)
    folder = SweepFolder(tmp_path / "out")
    grid = load_grid(write_sweep(tmp_path, seeds=[0, 1, 13]))
    with local_workers(1, gpus=0) as workers:
        states = run(grid, folder, workers)
    complete = {0: State.COMPLETE, 1: State.COMPLETE}
    assert {point.seed: states[point.id] for point in grid.points} == complete | {13: State.FAILED}


DEADLY = """
import os, sys, importlib.abc, importlib.util
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "nc_bench.training":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module
        def exec_module(module):
            load(module)
            train = module.run_ensemble
            def deadly(configs, *rest, **options):
                if any(config.seed == 13 for config in configs):
                    os.kill(os.getpid(), 9)
                return train(configs, *rest, **options)
            module.run_ensemble = deadly
        spec.loader.exec_module = exec_module
        return spec
sys.meta_path.insert(0, Finder())
"""
"""What makes seed 13 kill its worker."""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_driver_that_is_ended_leaves_everything_resumable(tmp_path: Path, number: signal.Signals) -> None:
    path = write_sweep(tmp_path, settings=TOO_LONG, arms=ARMS, seeds=2, study=STUDY)
    command = [sys.executable, "-m", "nc_bench.sweep", "--config", str(path), "--out", str(tmp_path / "out")]
    command += ["--workers", "1"]
    folder = SweepFolder(tmp_path / "out")
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        wait_for(lambda: len(list(folder.path.glob("trials/*/checkpoint.pt"))) >= 2)
        children = psutil.Process(driver.pid).children(recursive=True)
        driver.send_signal(number)
        _, errors = driver.communicate(timeout=TIMEOUT)
    assert driver.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    if number != signal.SIGKILL:
        assert (
            errors.splitlines()[-1] == "interrupted; the same command continues the sweep" and "Traceback" not in errors
        )
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    grid = load_grid(path)
    assert pending(grid.trials, folder.states(grid.trials))
    started = [json.loads((folder.directory(trial) / "manifest.json").read_text())["started"] for trial in grid.trials]
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout.splitlines()[0].endswith(": 4 complete of 4 trials")
    assert "Traceback" not in again.stderr
    for trial, when in zip(grid.trials, started, strict=True):
        manifest = json.loads((folder.directory(trial) / "manifest.json").read_text())
        assert manifest["started"] == when and manifest["epochs_done"] == TOO_LONG["training.epochs"]


def _kill_when(folder: SweepFolder, name: str, *, at_least: int, pid: int) -> subprocess.Popen[bytes]:
    """A process that kills another as soon as so many trials have written this file."""
    program = (
        "import os, pathlib, sys, time\n"
        "folder, name, number, pid = sys.argv[1:]\n"
        "while len(list(pathlib.Path(folder).glob('trials/*/' + name))) < int(number): time.sleep(0.02)\n"
        "os.kill(int(pid), 9)\n"
    )
    return subprocess.Popen([sys.executable, "-c", program, str(folder.path), name, str(at_least), str(pid)])


def test_the_whole_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole command: dry run, run, status, and the study made again without training."""
    path = write_sweep(tmp_path, arms=ARMS, seeds=2, study=STUDY)
    arguments = ["--config", str(path), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--dry-run", "--workers", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 6 and "pending" in out[0] and out[4] == "4 of 4 trials are to be run, in 1 programs"
    assert out[5].startswith("about ") and not (tmp_path / "out").exists()
    assert main([*arguments, "--workers", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{tmp_path / 'out'}: 4 complete of 4 trials"
    moving = "2 of true labels; 2 of random labels"
    assert out[1].startswith(f"No answer: 4 of the 4 runs compared have not converged ({moving})")
    study = tmp_path / "out" / "study"
    before = written(SweepFolder(tmp_path / "out"))
    kept = {file.name: file.read_bytes() for file in study.iterdir()}
    assert set(kept) == {"table.md", "table.csv", "table.tex", "differences.csv", "figure.png", "answer.md"}
    for file in study.iterdir():
        file.unlink()
    assert main([*arguments, "--workers", "1"]) == 0
    assert {file.name: file.read_bytes() for file in study.iterdir()} == kept
    assert written(SweepFolder(tmp_path / "out")) == before
    assert main([*arguments, "--workers", "1", "--study-out", str(tmp_path / "curated")]) == 0
    assert {file.name: file.read_bytes() for file in (tmp_path / "curated").iterdir()} == kept
    assert main([*arguments, "--status"]) == 0
    capsys.readouterr()
    assert main([*arguments, "training.epochs=3"]) == 2
    assert "holds a sweep of another base (training.epochs: 2 -> 3)" in capsys.readouterr().err
    assert BASE["training"]["epochs"] == 2


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


def test_without_a_place_named_everything_lies_under_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sweep(tmp_path, arms=ARMS, seeds=1, study=STUDY)
    monkeypatch.chdir(tmp_path)
    assert main(["--config", str(path), "--workers", "1"]) == 0
    assert [folder.name for folder in Path("results").iterdir()] == ["runs"]
    assert (Path("results") / "runs" / "sweep" / "study" / "answer.md").exists()


@pytest.mark.parametrize(
    "arguments, problem",
    [
        (["--scheduler", "tcp://127.0.0.1:9"], "--scheduler tcp://127.0.0.1:9: no scheduler answers"),
        (["--slurm", "{}/slurm.yaml"], "sbatch, scancel, squeue not found: Slurm's commands are not installed here"),
        (["--slurm", "{}/none.yaml"], "cannot be read"),
        (["--slurm", "{}/vague.yaml"], "vague.yaml: memory: much given, should be a number with a unit, such as 8GB"),
    ],
)
def test_where_nothing_can_be_run(
    tmp_path: Path,
    arguments: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("nc_bench.sweeps.clusters.CONNECTION_SECONDS", "1s")
    (tmp_path / "slurm.yaml").write_text("{jobs: 1, cores: 1, memory: 1GB}")
    (tmp_path / "vague.yaml").write_text("{jobs: 1, cores: 1, memory: much}")
    path = write_sweep(tmp_path)
    asked = [argument.format(tmp_path) for argument in arguments]
    assert main(["--config", str(path), "--out", str(tmp_path / "out"), *asked]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert problem in line

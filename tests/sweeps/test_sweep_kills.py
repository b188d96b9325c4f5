"""Sweeps whose workers or driver are killed: no trial is lost, and nothing finished is run again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from sweep_files import ARMS, STUDY, run_grid, write_sweep, written

from nc_bench.sweeps.clusters import local_workers
from nc_bench.sweeps.engine import pending
from nc_bench.sweeps.folder import State, SweepFolder
from nc_bench.sweeps.grid import load_grid

LONG = {"training.epochs": 40}
TOO_LONG = {"training.epochs": 150}
"""More than can be done while a sweep is being ended."""
TIMEOUT = 120.0


def wait_for(condition: Any) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_worker_costs_no_trial(tmp_path: Path) -> None:
    """SIGKILL to a worker in the middle of its trials: they go on elsewhere, and finished ones are left alone."""
    folder = SweepFolder(tmp_path / "out")
    done = load_grid(write_sweep(tmp_path, settings=LONG, seeds=1))
    grid = load_grid(write_sweep(tmp_path, settings=LONG, seeds=4))
    with local_workers(1, gpus=0) as workers:
        run_grid(done, folder, workers)
        before = written(folder)
        pid = next(iter(workers.client.run(os.getpid).values()))
        killer = _kill_when(folder, "checkpoint.pt", at_least=2, pid=pid)
        states = run_grid(grid, folder, workers)
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
        states = run_grid(grid, folder, workers)
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
    assert ": 4 complete of 4 trials\n" in again.stdout  # lines of progress stand before it where it takes minutes
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

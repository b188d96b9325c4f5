"""A sweep on a Dask scheduler and a worker that others started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from distributed import Client
from sweep_files import write_sweep

TIMEOUT = 300


@contextmanager
def started(folder: Path, program: str, *arguments: str) -> Iterator[None]:
    command = [sys.executable, "-m", f"distributed.cli.{program}", *arguments]
    with (
        (folder / f"{program}.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler with one worker, whose current directory is not that of the sweep."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    file = str(folder / "scheduler.json")
    with ExitStack() as stack:
        address = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file]
        stack.enter_context(started(folder, "dask_scheduler", *address))
        stack.enter_context(started(folder, "dask_worker", "--scheduler-file", file, "--nthreads", "1"))
        with Client(scheduler_file=file, timeout=TIMEOUT) as client:
            client.wait_for_workers(1, timeout=TIMEOUT)
            yield client.scheduler.address


@pytest.mark.slow
def test_workers_of_a_running_scheduler(tmp_path: Path, scheduler: str) -> None:
    """They write where the driver looks, though the folder was named by a relative path, and stay when it is done."""
    sweep = write_sweep(tmp_path, axes={"optimizer.lr": [0.01, 0.02]}, seeds=2)
    command = [sys.executable, "-m", "nc_bench.sweep", "--config", sweep.name, "--out", "out"]
    command += ["--scheduler", scheduler]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT)
    begun, *further = done.stdout.splitlines()
    assert done.returncode == 0 and "out: 4 complete of 4 trials" in further, done.stderr
    assert begun.startswith("out: 4 trials to be run, in ")
    assert len(list((tmp_path / "out" / "trials").glob("*/manifest.json"))) == 4
    assert "out" not in os.listdir(tmp_path / "elsewhere")
    with Client(scheduler, timeout=TIMEOUT) as client:
        assert len(client.scheduler_info()["workers"]) == 1

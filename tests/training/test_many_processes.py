"""torchrun with two gloo processes: the steps and the metrics of one process, and recovery from whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_runs import NETWORK, TABLE, measured, settings

from nc_bench import load_run
from nc_bench.config import Config, dump_config

ROOT = Path(__file__).parents[2]
PRECISE: dict[str, Any] = {"dtype": "float64"}
WITHOUT_BATCH_NORM = {"model": {"name": "mlp", "widths": [16, 12], "batch_norm": False, "final_activation": False}}
# 1400 samples in batches of 129 leave 110: odd shares, and a partial last batch.
UNEVEN = {"training": {"epochs": 3, "batch_size": 129, "checkpoint_seconds": 0}}


class Run:
    """The training command on one configuration, as many processes as are asked for."""

    def __init__(self, folder: Path, config: Config, *, processes: int, restarts: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.out, self.errors = folder / "out", folder / "errors"
        (folder / "config.yaml").write_text(dump_config(config))
        torchrun = ["torch.distributed.run", "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
        many = [*torchrun, "--max-restarts", str(restarts), "--nproc-per-node", str(processes), "-m"]
        program = ["-m", *(many if processes > 1 else []), "nc_bench.train"]
        arguments = ["--config", str(folder / "config.yaml"), "--out", str(self.out), "--resume"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
        with self.errors.open("w") as errors, (folder / "output").open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, *program, *arguments], env=environment, stdout=output, stderr=errors
            )
        self.output = folder / "output"

    def finish(self, seconds: float = 300) -> int:
        return self.process.wait(seconds)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 300
        while not condition():
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < end, f"still waiting; {self.workers()} run, and said {self.errors.read_text()!r}"
            time.sleep(0.005)

    def rows(self) -> int:
        path = self.out / "metrics.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def workers(self) -> list[int]:
        """The training processes, in the order of their ranks."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            ranks = [int(line[5:]) for line in variables if line.startswith(b"RANK=")]
            if int(parent) == self.process.pid and ranks:
                found.append((ranks[0], int(folder.name)))
        return [pid for _, pid in sorted(found)]


Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Run] = []

    def start(name: str, config: Config, **options: Any) -> Run:
        started.append(Run(tmp_path / name, config, **options))
        return started[-1]

    yield start
    for run in started:
        if run.process.poll() is None:
            run.process.terminate()
            run.process.wait(60)


def config(base: dict[str, Any], *changes: dict[str, Any]) -> Config:
    merged = base
    for change in changes:
        merged = settings(merged, **change)
    return Config.model_validate(merged)


def both(start: Start, problem: Config) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The numbers of one process and of two."""
    tables = []
    for processes in (1, 2):
        run = start(f"{processes}", problem, processes=processes)
        assert run.finish() == 0, run.errors.read_text()
        table = load_run(run.out)
        assert table.manifest["processes"] == processes
        tables.append(table.rows.drop(columns=["split", "layer", "seconds", "reasons"], errors="ignore"))
    return tables[0], tables[1]


def assert_equal(one: pd.DataFrame, two: pd.DataFrame, tolerance: float) -> None:
    assert list(one) == list(two) and len(one) == len(two) > 0
    for name in one:
        # Rounding of a difference of nearly equal numbers is held against the size of these, which is about 1.
        assert one[name].to_numpy() == pytest.approx(two[name].to_numpy(), rel=tolerance, abs=tolerance, nan_ok=True), (
            name
        )


PROBLEMS = {
    "network": config(NETWORK, PRECISE, WITHOUT_BATCH_NORM, UNEVEN),
    "weighted": config(
        NETWORK,
        PRECISE,
        WITHOUT_BATCH_NORM,
        UNEVEN,
        {"constraints": {"features": None, "head": None}},
        {
            "objective": {
                "class_weights": [9.0, 1.0, 1.0, 2.0, 1.0, 0.5, 1.0, 1.0, 3.0, 1.0],
                "feature_decay": 1e-4,
                "weight_decay": 1e-2,
                "label_smoothing": 0.1,
            }
        },
    ),
    "table": config(TABLE),
    "lbfgs": config(
        NETWORK,
        PRECISE,
        WITHOUT_BATCH_NORM,
        {
            "constraints": {"features": None, "head": None},
            "optimizer": {"name": "lbfgs"},
            "schedule": {"name": "constant"},
            "training": {"epochs": 3, "batch_size": None},
        },
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBLEMS)
def test_two_processes_train_as_one(name: str, start: Start) -> None:
    assert_equal(*both(start, PROBLEMS[name]), 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
def test_the_same_weights_are_measured_the_same(dtype: str, tolerance: float, start: Start) -> None:
    """Before the first step, where weights agree bit for bit; batch norm and 1400 and 397 samples included."""
    assert_equal(*both(start, config(NETWORK, {"dtype": dtype}, {"training": {"epochs": 0}})), tolerance)


LONG = config(NETWORK, {"training": {"epochs": 40, "batch_size": 128, "checkpoint_seconds": 0}})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The table of the long run when nothing happens to its two processes."""
    run = Run(tmp_path_factory.mktemp("whole"), LONG, processes=2)
    try:
        assert run.finish() == 0, run.errors.read_text()
    finally:
        run.process.terminate()
    return measured(run.out)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_is_started_again_and_the_run_ends_as_if_nothing_had_been(
    rank: int, whole: list[str], start: Start
) -> None:
    run = start("killed", LONG, processes=2, restarts=3)
    run.wait_until(lambda: run.rows() >= 20)
    os.kill(run.workers()[rank], signal.SIGKILL)
    assert run.finish() == 0, run.errors.read_text()
    assert measured(run.out) == whole
    assert load_run(run.out).manifest["status"] == "complete"


@pytest.mark.slow
def test_a_signal_to_torchrun_saves_and_the_rest_follows_later(whole: list[str], start: Start) -> None:
    patient = config(NETWORK, {"training": {"epochs": 40, "batch_size": 128, "checkpoint_seconds": 1000}})
    run = start("run", patient, processes=2)
    run.wait_until(lambda: run.rows() >= 20)
    run.process.send_signal(signal.SIGTERM)
    assert run.finish() != 0
    stopped = load_run(run.out)
    assert stopped.manifest["status"] == "interrupted" and 10 <= stopped.manifest["epochs_done"] < 40
    rest = start("run", patient, processes=2)
    assert rest.finish() == 0, rest.errors.read_text()
    assert measured(run.out) == whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"training": {"epochs": 1, "batch_size": 1401}},
            "training.batch_size: 1401 is larger than the 1400 training samples",
        ),
        (
            {"training": {"epochs": 1, "batch_size": 3}},
            "training.batch_size: 3 leaves 2 of 1400 samples in the last batch, too few for 2 processes",
        ),
        ({"data": {"name": "mnist", "root": "/no/such/place"}}, "set data.root to the folder that holds MNIST/raw"),
        ({"device": "cuda:0"}, "device: cuda:0 is one GPU, and there are 2 processes; say cuda or auto"),
    ],
)
def test_what_is_refused_is_said_once(change: dict[str, Any], line: str, start: Start) -> None:
    run = start("run", config(NETWORK, change), processes=2, restarts=1)
    assert run.finish() == 1
    assert run.errors.read_text().count(line) == 1 and "exitcode  : 2" in run.errors.read_text()
    assert not run.out.exists()


GROUP = """
import pathlib, sys, torch
from nc_bench.distributed import process_group
with process_group() as processes:
    model = processes.average_gradients(torch.nn.Linear(3, 2))
    model(torch.ones(3)).sum().backward()
threads = [path.read_text().strip() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
sys.stdout.write(f"{[name for name in threads if 'gloo' in name]}\\n")
"""


@pytest.mark.slow
def test_the_group_is_gone_after_its_block(tmp_path: Path) -> None:
    """A thread of gloo that is still there while the interpreter shuts down may end the process with SIGABRT."""
    (tmp_path / "group.py").write_text(GROUP)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "group.py"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"], done.stderr


@pytest.mark.slow
def test_another_run_in_the_directory_ends_all_processes(start: Start) -> None:
    run = start("run", config(NETWORK, {"training": {"epochs": 1}}), processes=2)
    assert run.finish() == 0, run.errors.read_text()
    other = start("run", config(NETWORK, {"seed": 5}), processes=2)
    assert other.finish() == 1
    assert other.errors.read_text().count(f"{run.out}: holds another run") == 1

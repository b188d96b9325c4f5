"""Real processes, really killed, stopped and starved of disk: what they leave is resumed to the same table."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_runs import measured, network

from nc_bench import load_run
from nc_bench.config import dump_config

EPOCHS = 40
# Processes are forked from one that has imported what takes seconds and written nothing yet.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["pytest", "nc_bench.train", "nc_bench.training", "sklearn.model_selection"])


@dataclass(frozen=True, kw_only=True)
class Command:
    """A running `nc_bench.train --resume`, and the file that its standard error goes to."""

    process: ForkServerProcess
    errors: Path

    def finish(self) -> tuple[int | None, str]:
        """Exit status and what was said on the standard error."""
        self.process.join(300)
        return self.process.exitcode, self.errors.read_text() if self.errors.exists() else ""

    def wait_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 300
        while not condition() and self.process.is_alive():
            assert time.monotonic() < end
            time.sleep(0.001)


def work(arguments: list[str], errors: Path, largest_file: int | None) -> None:
    """What the process does: the whole command but its report, which only reads and takes longer than the rest."""
    for path, number in ((Path(os.devnull), 1), (errors, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    report: Any = SimpleNamespace(render_run=lambda directory: None)
    sys.modules["nc_bench.reports"] = report
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    from nc_bench.train import main

    sys.exit(main(arguments))


Start = Callable[..., Command]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts the command for a directory: it resumes, and computes in one thread."""
    folder = tmp_path_factory.mktemp("processes")
    config = folder / "kill.yaml"
    config.write_text(dump_config(network(training={"epochs": EPOCHS})))
    started: list[ForkServerProcess] = []

    def start(directory: Path, *overrides: str, largest_file: int | None = None) -> Command:
        arguments = ["--config", str(config), "--out", str(directory), "--resume", *overrides]
        errors = folder / f"errors{len(started)}"
        process = CONTEXT.Process(target=work, args=(arguments, errors, largest_file))
        process.start()
        started.append(process)
        return Command(process=process, errors=errors)

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")
        yield start
    for process in started:
        process.kill()
        process.join()


@pytest.fixture(scope="module")
def whole(start: Start, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    directory = tmp_path_factory.mktemp("whole")
    assert start(directory).finish() == (0, "")
    return measured(directory)


def rows(directory: Path) -> int:
    path = directory / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def over(directory: Path) -> str:
    """What is said where an earlier process had done it all."""
    return f"{directory}: complete already, so nothing is trained\n"


def kill_after(command: Command, directory: Path, number: int, delay: float) -> None:
    """Kill as soon as so many rows are there, and a little later; what is there can be read."""
    command.wait_until(lambda: rows(directory) >= number)
    time.sleep(delay)
    command.process.kill()
    status, said = command.finish()
    assert status in (-signal.SIGKILL, 0) and said in ("", over(directory))
    if (directory / "manifest.json").exists():
        run = load_run(directory)
        assert len(run.rows) == rows(directory)
        assert run.manifest["status"] in ("complete", "running")


def test_killed_in_the_middle(tmp_path: Path, start: Start, whole: list[str]) -> None:
    kill_after(start(tmp_path), tmp_path, number=15, delay=0.013)
    assert load_run(tmp_path).manifest["status"] == "running" and len(load_run(tmp_path).rows) >= 15
    assert start(tmp_path).finish() == (0, "")
    assert measured(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_instant(tmp_path: Path, start: Start, whole: list[str], seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(3):
        kill_after(start(tmp_path), tmp_path, number=0, delay=chance.uniform(0, 0.3))
    for number in sorted(chance.sample(range(1, 2 * EPOCHS), 6)):
        kill_after(start(tmp_path), tmp_path, number=number, delay=chance.uniform(0, 0.04))
    for _ in range(4):
        kill_after(start(tmp_path), tmp_path, number=2 * EPOCHS, delay=chance.uniform(0, 0.1))
    assert start(tmp_path).finish() in ((0, ""), (0, over(tmp_path)))
    assert start(tmp_path).finish() == (0, over(tmp_path))
    assert measured(tmp_path) == whole


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_and_the_rest_follows_later(
    tmp_path: Path, start: Start, whole: list[str], number: signal.Signals
) -> None:
    command = start(tmp_path, "training.checkpoint_seconds=1000")
    command.wait_until(lambda: rows(tmp_path) >= 20)
    os.kill(command.process.pid or 0, number)
    assert command.finish() == (130, "")
    run = load_run(tmp_path)
    assert run.manifest["status"] == "interrupted" and 10 <= run.manifest["epochs_done"] < EPOCHS
    assert (tmp_path / "checkpoint.pt").exists() and not (tmp_path / "checkpoint.before.pt").exists()
    assert start(tmp_path).finish() == (0, "")
    assert measured(tmp_path) == whole


def test_two_processes_at_once(tmp_path: Path, start: Start) -> None:
    first = start(tmp_path, "training.epochs=100000")
    first.wait_until(lambda: rows(tmp_path) > 0)
    assert start(tmp_path).finish() == (
        2,
        f"{tmp_path}: another process is writing there; wait until it ends, or choose another --out\n",
    )
    first.process.kill()
    first.process.join()
    second = start(tmp_path, "training.epochs=100000")
    second.wait_until(lambda: rows(tmp_path) > 10)
    assert second.process.is_alive(), "a killed process holds no lock"


@pytest.mark.parametrize("size", [60_000, 9_000])
def test_a_full_disk_stops_the_run_and_what_was_whole_is_kept(
    tmp_path: Path, start: Start, whole: list[str], size: int
) -> None:
    """A limit on the size of files stands in for the disk; rows hit the large one, checkpoints the small one."""
    stopped = start(tmp_path, largest_file=size).finish()
    assert stopped == (1, "cannot read or write: [Errno 27] File too large; files that were complete are kept\n")
    run = load_run(tmp_path)
    assert run.manifest["status"] == "failed" and 0 < len(run.rows) < 2 * EPOCHS
    assert len(run.rows) == rows(tmp_path) and len(run.rows) % 2 == 0
    assert not [path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")]
    assert start(tmp_path).finish() == (0, "")
    assert measured(tmp_path) == whole


def test_a_disk_with_no_room_even_for_the_configuration(tmp_path: Path, start: Start) -> None:
    status, said = start(tmp_path / "run", largest_file=300).finish()
    assert status == 1 and said.startswith("cannot read or write: [Errno 27]") and said.count("\n") == 1
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]
    assert start(tmp_path / "run", "training.epochs=1").finish() == (0, "")

"""How long a sweep will take, told from runs whose time is known."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from sweep_files import write_sweep

from nc_bench.config import Config
from nc_bench.sweeps import estimate as estimates
from nc_bench.sweeps.estimate import estimate
from nc_bench.sweeps.folder import SweepFolder
from nc_bench.sweeps.grid import Grid, load_grid

START = 2.0


@pytest.fixture
def threads_seen(monkeypatch: pytest.MonkeyPatch, cost: tuple[float, float]) -> list[int]:
    """A machine with a clock of its own, on which a run takes START and the costs of its epochs and recordings."""
    now = 0.0
    seen: list[int] = []
    per_epoch, per_recording = cost

    class Clock:
        @staticmethod
        def perf_counter() -> float:
            return now

    def train(configs: Sequence[Config], directories: Sequence[Path]) -> list[str]:
        nonlocal now
        assert len(configs) == len(directories)
        every = configs[0].record.every
        assert isinstance(every, tuple)
        now += START + per_epoch * configs[0].training.epochs + per_recording * len(every)
        seen.append(torch.get_num_threads())
        return ["complete"] * len(configs)

    monkeypatch.setattr(estimates, "time", Clock)
    monkeypatch.setattr(estimates, "run_ensemble", train)
    return seen


def programs_of(grid: Grid, size: int) -> list[tuple[str, ...]]:
    names = list(grid.trials)
    return [tuple(names[first : first + size]) for first in range(0, len(names), size)]


@pytest.mark.parametrize("cost", [(3.0, 7.0), (0.06, 0.2), (1e-4, 1e-3)])
def test_short_runs_are_extrapolated_with_the_threads_of_a_worker(
    tmp_path: Path, cost: tuple[float, float], threads_seen: list[int]
) -> None:
    settings = {"training.epochs": 40, "record.every": [0, 10, 20, 40]}
    grid = load_grid(write_sweep(tmp_path, settings=settings, seeds=8))
    before = torch.get_num_threads()
    found = estimate(SweepFolder(tmp_path / "out"), grid.trials, programs_of(grid, 2), workers=2, threads=before + 1)
    rounds = 4 / 2
    assert found.seconds == pytest.approx(rounds * (START + 40 * cost[0] + 4 * cost[1]))
    assert set(threads_seen) == {before + 1} and torch.get_num_threads() == before
    assert found.basis == "short runs of 2 trials, alone on this machine"


@pytest.mark.parametrize("cost", [(3.0, 7.0)])
def test_finished_groups_tell_the_rest(tmp_path: Path, threads_seen: list[int]) -> None:
    grid = load_grid(write_sweep(tmp_path, settings={"training.epochs": 40}, seeds=8))
    folder = SweepFolder(tmp_path / "out")
    folder.path.mkdir()
    folder.log_time(trials=4, epochs=40, seconds=80.0)
    left = programs_of(grid, 2)[1:]
    assert estimate(folder, grid.trials, left[1:], workers=2, threads=1).seconds == pytest.approx(40.0)
    # Three programs on two workers: one of them has two to do.
    assert estimate(folder, grid.trials, left, workers=2, threads=1).seconds == pytest.approx(80.0)
    assert estimate(folder, grid.trials, [], workers=2, threads=1).seconds == 0
    assert threads_seen == []


@pytest.mark.parametrize("epochs_in_time", [0, 3])
def test_an_estimate_takes_seconds_however_long_an_epoch_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs_in_time: int
) -> None:
    started = []

    def train(configs: Sequence[Config], directories: Sequence[Path]) -> list[str]:
        started.append(configs)
        if len(started) > epochs_in_time:
            time.sleep(60)
        return ["complete"] * len(configs)

    monkeypatch.setattr(estimates, "EFFORT", 0.2)
    monkeypatch.setattr(estimates, "run_ensemble", train)
    grid = load_grid(write_sweep(tmp_path, settings={"training.epochs": 40}, seeds=8))
    handler, start = signal.getsignal(signal.SIGALRM), time.monotonic()
    found = estimate(SweepFolder(tmp_path / "out"), grid.trials, programs_of(grid, 2), workers=2, threads=1)
    assert time.monotonic() - start < 10
    assert signal.getsignal(signal.SIGALRM) is handler and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    if epochs_in_time == 0:
        assert (found.seconds, found.basis) == (None, "0.2 seconds are not enough for an epoch of the first trials")
    else:
        assert found.seconds is not None and 0 < found.seconds < 40 * 4
        assert found.basis == "one epoch of 2 trials, its start included"


def test_ctrl_c_ends_an_estimate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "run_ensemble", lambda configs, directories: ["interrupted"])
    grid = load_grid(write_sweep(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        estimate(SweepFolder(tmp_path / "out"), grid.trials, programs_of(grid, 2), workers=2, threads=1)

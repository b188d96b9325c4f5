"""Interrupted anywhere, damaged or extended: the resumed run ends with the rows of one that nobody touched."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from small_runs import Killed, kill, measured, network, run_until, table, tiny_dataset
from torch import Tensor

from nc_bench import load_run
from nc_bench.config import Config
from nc_bench.runs import RunDirectory, RunError
from nc_bench.runs.files import read_arrays
from nc_bench.training import run_training
from nc_bench.training.checkpoint import FIRST_FORMAT
from nc_bench.training.ensemble import Ensemble

MODEL = {"name": "mlp", "widths": [8, 4], "batch_norm": True, "final_activation": False}
EPOCHS, STEPS = 5, 3
TOTAL = EPOCHS * STEPS


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda settings: tiny_dataset())


def small(epochs: int = EPOCHS, *, checkpoint_seconds: float = 0, **sections: Any) -> Config:
    training = {"epochs": epochs, "batch_size": 10, "checkpoint_seconds": checkpoint_seconds}
    return network(**({"model": MODEL, "training": training} | sections))


def terminate() -> None:
    signal.raise_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nc_bench.training.run.load_dataset", lambda settings: tiny_dataset())
        directory = tmp_path_factory.mktemp("whole")
        run_training(small(), directory)
    return measured(directory)


@pytest.mark.parametrize("checkpoint_seconds", [0, 1000])
@pytest.mark.parametrize("step", [0, 1, 4, 9, TOTAL - 1])
def test_killed_in_any_step(tmp_path: Path, whole: list[str], step: int, checkpoint_seconds: float) -> None:
    config = small(checkpoint_seconds=checkpoint_seconds)
    assert run_until(step, kill, config, tmp_path) == "killed"
    assert load_run(tmp_path).manifest["status"] == "running"
    assert run_training(config, tmp_path, resume=True) == "complete"
    assert measured(tmp_path) == whole


def contents(path: Path) -> dict[str, bytes | str]:
    """The bytes of every array of a safetensors file, and its notes; their order in the file is not fixed."""
    arrays, notes = read_arrays(path)
    return {name: array.tobytes() for name, array in arrays.items()} | notes


@pytest.mark.parametrize("step", [4, TOTAL - 2])
def test_a_killed_run_ends_with_the_same_pictures(tmp_path: Path, step: int) -> None:
    run_training(small(), tmp_path / "whole")
    run_until(step, kill, small(checkpoint_seconds=1000), tmp_path / "run")
    run_training(small(checkpoint_seconds=1000), tmp_path / "run", resume=True)
    found = [
        {path.name: contents(path) for path in (tmp_path / name / "features").glob("picture-*")}
        for name in ("whole", "run")
    ]
    assert found[0] == found[1] and len(found[0]) == EPOCHS


@pytest.mark.parametrize("step", [0, 1, 2, 4, TOTAL - 2, TOTAL - 1])
def test_asked_to_stop_in_any_step(tmp_path: Path, whole: list[str], step: int) -> None:
    config = small(checkpoint_seconds=1000)
    status = run_until(step, terminate, config, tmp_path)
    manifest = load_run(tmp_path).manifest
    done = (step + 1) // STEPS
    # After the last step there is nothing left to interrupt.
    assert status == manifest["status"] == ("complete" if step == TOTAL - 1 else "interrupted")
    assert manifest["epochs_done"] == done
    assert len(load_run(tmp_path).rows) == 2 * done
    steps: list[int] = []
    assert run_until(step + 1, lambda: steps.append(step), config, tmp_path, resume=True) == "complete"
    # The step that was being taken was finished and saved: it is not taken again.
    assert len(steps) == (step < TOTAL - 1)
    assert measured(tmp_path) == whole


def test_stopped_again_and_again(tmp_path: Path, whole: list[str]) -> None:
    for step in range(0, TOTAL, 2):
        run_until(step, terminate, small(), tmp_path, resume=True)
    assert run_training(small(), tmp_path, resume=True) == "complete"
    assert measured(tmp_path) == whole


def test_the_step_after_a_resumption_is_the_next_one(tmp_path: Path) -> None:
    """A resumed run trains on from the checkpoint: steps before it are not taken again."""
    run_until(7, terminate, small(), tmp_path)
    seen: list[int] = []
    taken = Ensemble._step

    def step(self: Ensemble, *batch: Tensor) -> None:
        seen.append(self.step_count)
        taken(self, *batch)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Ensemble, "_step", step)
        run_training(small(), tmp_path, resume=True)
    assert seen == list(range(8, TOTAL))


@pytest.mark.parametrize("moment", ["append", "save_checkpoint", "finish"])
@pytest.mark.parametrize("before", [True, False])
def test_killed_around_what_is_written(tmp_path: Path, whole: list[str], moment: str, before: bool) -> None:
    written = getattr(RunDirectory, moment)
    times: list[int] = []

    def killing(self: RunDirectory, *arguments: Any) -> None:
        times.append(1)
        last = len(times) == (1 if moment == "finish" else 3)
        if last and before:
            raise Killed
        written(self, *arguments)
        if last:
            raise Killed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RunDirectory, moment, killing)
        with pytest.raises(Killed):
            run_training(small(), tmp_path)
    assert run_training(small(), tmp_path, resume=True) == "complete"
    assert measured(tmp_path) == whole


def test_killed_between_the_rows_of_two_splits(tmp_path: Path, whole: list[str]) -> None:
    run_until(10, kill, small(), tmp_path)
    rows = tmp_path / "metrics.jsonl"
    lines = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join(lines) + lines[-2].replace(b'"step": 9', b'"step": 12') + lines[-1][:100])
    assert run_training(small(), tmp_path, resume=True) == "complete"
    assert measured(tmp_path) == whole


@pytest.mark.parametrize("step", [2, 7])
def test_killed_while_recording_at_depth(tmp_path: Path, step: int) -> None:
    deep = small(record={"layers": "all"})
    run_training(deep, tmp_path / "whole")
    assert run_until(step, kill, deep, tmp_path / "run") == "killed"
    assert run_training(deep, tmp_path / "run", resume=True) == "complete"
    assert measured(tmp_path / "run") == measured(tmp_path / "whole")
    assert len(measured(tmp_path / "run")) == 1 + 2 * 3 * EPOCHS


@pytest.mark.parametrize("adam", [True, False])
def test_a_table_goes_on_too(tmp_path: Path, adam: bool) -> None:
    optimizer = {"name": "adam", "lr": 0.1} if adam else {"name": "sgd", "lr": 1.0, "momentum": 0.5}
    config = table(optimizer=optimizer, training={"epochs": 6}, record={"every": [0, 3]})
    run_training(config, tmp_path / "whole")
    run_until(4, kill, config, tmp_path / "run")
    run_training(config, tmp_path / "run", resume=True)
    assert measured(tmp_path / "run") == measured(tmp_path / "whole")


def spoil(path: Path, how: int | float) -> None:
    """Cut a file to a share of its length, or flip a bit of the byte at a place."""
    content = bytearray(path.read_bytes())
    if isinstance(how, float):
        content = content[: int(how * len(content))]
    else:
        content[how] ^= 4
    path.write_bytes(content)


@pytest.fixture(scope="module")
def killed_late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nc_bench.training.run.load_dataset", lambda settings: tiny_dataset())
        directory = tmp_path_factory.mktemp("killed") / "run"
        run_until(TOTAL - 2, kill, small(), directory)
    assert len(load_run(directory).rows) == 8
    return directory


@pytest.mark.parametrize("how", [0.0, 0.001, 0.3, 0.9999, 0, 30, 60, 2000, -1])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    tmp_path: Path, whole: list[str], killed_late: Path, how: int | float, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = Path(shutil.copytree(killed_late, tmp_path / "run"))
    spoil(directory / "checkpoint.pt", how)
    seen: list[int] = []
    run_until(3 * STEPS, lambda: seen.append(1), small(), directory, resume=True)
    assert seen == [1], "epoch 4, which only the damaged checkpoint knew, is trained again"
    said = capsys.readouterr().err
    problem = "cut off (" if isinstance(how, float) else "damaged (its SHA-256 does not match)"
    assert f"{directory / 'checkpoint.pt'}: {problem}" in said
    assert "falling back to the checkpoint before it" in said
    assert measured(directory) == whole


def test_with_both_checkpoints_damaged_it_starts_again(
    tmp_path: Path, whole: list[str], killed_late: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = Path(shutil.copytree(killed_late, tmp_path / "run"))
    for name in ("checkpoint.pt", "checkpoint.before.pt"):
        spoil(directory / name, 0.5)
    assert run_training(small(), directory, resume=True) == "complete"
    said = capsys.readouterr().err
    first, second = said.splitlines()
    assert "checkpoint.pt: cut off" in first and first.endswith("falling back to the checkpoint before it")
    assert "checkpoint.before.pt: cut off" in second and second.endswith("falling back to the start")
    assert measured(directory) == whole


def test_a_run_with_checkpoints_of_an_older_format_is_refused_and_left_as_it_is(
    tmp_path: Path, killed_late: Path
) -> None:
    directory = Path(shutil.copytree(killed_late, tmp_path / "run"))
    (directory / "checkpoint.pt").write_bytes(FIRST_FORMAT + bytes(100))
    before = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    with pytest.raises(
        RunError, match=r"checkpoint\.pt: a checkpoint of format 1, which is no longer read; train the "
    ):
        run_training(small(), directory, resume=True)
    assert {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_finished_run_is_extended(tmp_path: Path, whole: list[str], interrupted: bool) -> None:
    constant = {"name": "constant"}
    run_training(small(3, schedule=constant), tmp_path / "run")
    short = measured(tmp_path / "run")
    if interrupted:
        run_until(10, kill, small(schedule=constant), tmp_path / "run", resume=True)
    assert run_training(small(schedule=constant), tmp_path / "run", resume=True) == "complete"
    run_training(small(schedule=constant), tmp_path / "whole")
    assert measured(tmp_path / "run") == measured(tmp_path / "whole")
    assert measured(tmp_path / "run")[: len(short)] == short
    run = load_run(tmp_path / "run")
    assert (run.manifest["epochs_done"], run.config["training"]["epochs"]) == (EPOCHS, EPOCHS)


def test_earlier_rows_stay_when_the_schedule_is_stretched(tmp_path: Path) -> None:
    run_training(small(3), tmp_path)
    short = (tmp_path / "metrics.jsonl").read_text()
    run_training(small(), tmp_path, resume=True)
    assert (tmp_path / "metrics.jsonl").read_text().startswith(short)
    assert load_run(tmp_path).rows["epoch"].tolist()[::2] == [1, 2, 3, 4, 5]

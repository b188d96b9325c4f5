"""Rows, manifest and configuration are sealed: damage is said in one line, and what can be made again is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from small_runs import measured, network, run_until, tiny_dataset

from nc_bench import load_run
from nc_bench.config import Config, dump_config
from nc_bench.data import Dataset
from nc_bench.reports import render_run
from nc_bench.runs import RunDirectory, RunError
from nc_bench.runs.directory import OtherWriter
from nc_bench.runs.rows import read_rows
from nc_bench.training import run_training

MODEL = {"name": "mlp", "widths": [8, 4], "batch_norm": True, "final_activation": False}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda settings: tiny_dataset())


def small(epochs: int = 4, **sections: Any) -> Config:
    training = {"epochs": epochs, "batch_size": 10, "checkpoint_seconds": 0}
    return network(**({"model": MODEL, "training": training, "schedule": {"name": "constant"}} | sections))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nc_bench.training.run.load_dataset", lambda settings: tiny_dataset())
        directory = tmp_path_factory.mktemp("finished") / "run"
        assert run_training(small(), directory) == "complete"
    return directory


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


Change = Callable[[list[bytes]], list[bytes]]
CHANGES: dict[str, tuple[Change, str]] = {
    "lost": (lambda lines: lines[:2] + lines[3:], r"row 3 does not match its SHA-256; rows 1 to 2 are good"),
    "lost at the end": (lambda lines: lines[:-1], r"holds 7 sealed rows, but 8 were written; those that are there are"),
    "doubled": (lambda lines: lines[:3] + lines[2:], r"row 4 does not match its SHA-256; rows 1 to 3 are good"),
    "reversed": (lambda lines: lines[::-1], r"row 1 does not match its SHA-256"),
    "all lost": (lambda lines: [], r"holds 0 sealed rows, but 8 were written"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_rows_that_are_not_those_that_were_written_are_named(copy: Path, kind: str) -> None:
    change, said = CHANGES[kind]
    path = copy / "metrics.jsonl"
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(RunError, match=rf"metrics\.jsonl: damaged \({said}") as caught:
        load_run(copy)
    assert "\n" not in str(caught.value)


def test_every_bit_of_the_rows_counts(copy: Path) -> None:
    path = copy / "metrics.jsonl"
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 50):
        path.write_bytes(flipped(whole, place))
        with pytest.raises(RunError, match=r"metrics\.jsonl: damaged"):
            load_run(copy)


def test_rows_of_another_run_are_not_taken_for_this_ones(copy: Path, tmp_path: Path) -> None:
    run_training(small(seed=1), tmp_path / "other")
    shutil.copy(tmp_path / "other" / "metrics.jsonl", copy)
    with pytest.raises(RunError, match=r"metrics\.jsonl: holds the rows of another run"):
        load_run(copy)


def test_every_bit_of_what_the_manifest_says_counts(copy: Path) -> None:
    path, before = copy / "manifest.json", load_run(copy).manifest
    whole = path.read_bytes()
    noticed = 0
    for place in range(0, len(whole), len(whole) // 60):
        path.write_bytes(flipped(whole, place))
        try:
            assert load_run(copy).manifest == before
        except RunError as error:
            noticed += 1
            assert "manifest.json: damaged (" in str(error) and "\n" not in str(error)
    assert noticed > 30


def test_a_damaged_configuration_is_noticed_and_written_again(copy: Path, finished: Path) -> None:
    path = copy / "config.yaml"
    path.write_text(path.read_text().replace("epochs: 4", "epochs: 5"))
    with pytest.raises(RunError, match=r"config\.yaml: damaged \(its SHA-256 .*; the rows are good, and --resume"):
        load_run(copy)
    assert run_training(small(), copy, resume=True) == "complete"
    assert load_run(copy).config == load_run(finished).config


def test_without_its_configuration_a_run_is_known_by_its_manifest(copy: Path) -> None:
    (copy / "config.yaml").unlink()
    with pytest.raises(RunError, match=r"holds another run|config\.yaml"):
        run_training(small(seed=1), copy, resume=True)
    (copy / "config.yaml").unlink(missing_ok=True)
    assert run_training(small(), copy, resume=True) == "complete"
    (copy / "config.yaml").unlink()
    (copy / "manifest.json").unlink()
    with pytest.raises(RunError, match=r"metrics\.jsonl: of which run is not known .*; choose another --out$"):
        run_training(small(seed=1), copy, resume=True)


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("name", ["metrics.csv", "predictions.json"])
def test_what_follows_from_the_rows_is_made_again(
    copy: Path, finished: Path, name: str, lost: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / name
    whole = path.read_bytes()
    path.unlink() if lost else path.write_bytes(whole.replace(b"0.0", b"0.1"))
    assert load_run(copy).predictions.equals(load_run(finished).predictions)
    assert load_run(copy).rows.equals(load_run(finished).rows)
    assert run_training(small(), copy, resume=True) == "complete"
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"{}", b"[]", b'{"status": 3}', b'{"status": "complete", "samples": 7}'])
def test_manifests_of_the_wrong_shape_are_damaged(copy: Path, content: bytes) -> None:
    (copy / "manifest.json").write_bytes(content)
    if content != b"{}":
        with pytest.raises(RunError, match=r"manifest\.json: damaged \("):
            load_run(copy)


def test_a_lost_manifest_is_made_again_from_configuration_and_checkpoint(copy: Path, finished: Path) -> None:
    before = load_run(finished).manifest
    for damage in (b"", b"[]", flipped((copy / "manifest.json").read_bytes(), 300)):
        (copy / "manifest.json").write_bytes(damage)
        assert run_training(small(), copy, resume=True) == "complete"
        again = load_run(copy).manifest
        for key in ("status", "run", "started", "rows", "files", "epochs_done", "data_digest", "config_hash"):
            assert again[key] == before[key], key
        assert measured(copy) == measured(finished)


def test_rows_damaged_after_the_checkpoint_before_are_trained_again(
    copy: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(flipped(whole, len(whole) - 300))
    assert run_training(small(), copy, resume=True) == "complete"
    said = capsys.readouterr().err.splitlines()
    assert said[-1].endswith("rows 1 to 7 are good); falling back to the checkpoint before it")
    assert measured(copy) == measured(finished)


def test_rows_that_no_checkpoint_is_without_are_refused_and_kept(copy: Path) -> None:
    path = copy / "metrics.jsonl"
    damaged = flipped(path.read_bytes(), 50)
    path.write_bytes(damaged)
    with pytest.raises(RunError, match=r"row 1 does not .*; no checkpoint goes on from those alone: train the run aga"):
        run_training(small(), copy, resume=True)
    assert path.read_bytes() == damaged


def test_a_checkpoint_of_another_run_is_passed_over(
    tmp_path: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    for name, seed in (("run", 0), ("other", 1)):
        with pytest.raises(KeyboardInterrupt):
            run_until(9, stop, small(seed=seed), tmp_path / name)
    shutil.copy(tmp_path / "other" / "checkpoint.pt", tmp_path / "run")
    assert run_training(small(), tmp_path / "run", resume=True) == "complete"
    said = capsys.readouterr().err
    assert "checkpoint.pt: of another run (its configuration is " in said and "falling back to the checkpoint" in said
    assert measured(tmp_path / "run") == measured(finished)


def test_the_model_of_a_run_is_that_of_its_last_step(copy: Path) -> None:
    load_run(copy).load_model()
    shutil.copy(copy / "checkpoint.before.pt", copy / "checkpoint.pt")
    with pytest.raises(RunError, match=r"checkpoint\.pt: not the checkpoint that this run ended with; its step is"):
        load_run(copy).load_model()


def test_other_data_are_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny_dataset()
    others: dict[str, dict[str, Any]] = {
        "with the classes in another order": {"class_names": ("1", "0", "2")},
        "without the class '2', with a class 'two'": {"class_names": ("0", "1", "two")},
        "with the same names and numbers, but other contents": {"test_inputs": data.test_inputs + 1},
    }
    for said, changes in others.items():
        other = Dataset(**{**vars(data), **changes})
        monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda settings, other=other: other)
        with pytest.raises(RunError, match=f"the data are others than those of this run, {said}; choose another --out"):
            run_training(small(), copy, resume=True)


def test_fewer_epochs_than_done_are_refused_and_the_run_stays_as_it_is(tmp_path: Path) -> None:
    import signal

    run_until(9, lambda: signal.raise_signal(signal.SIGTERM), small(5), tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    with pytest.raises(RunError, match=r"3 epochs \(10 steps\) are trained already, and training"):
        run_training(small(3), tmp_path, resume=True)
    assert (tmp_path / "manifest.json").read_bytes() == before
    assert load_run(tmp_path).manifest["status"] == "interrupted"


@pytest.mark.parametrize("moment", ["append", "save_checkpoint", "write_manifest", "finish"])
def test_where_the_lock_does_nothing_the_rows_tell_of_the_second_writer(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr("nc_bench.runs.directory.lock_folder", lambda path: FileLock(path / ".lock"))
    original, calls = getattr(RunDirectory, moment), []

    def meanwhile(self: RunDirectory, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == (1 if moment == "finish" else 2):
            assert run_training(small(), tmp_path, resume=True) == "complete"
        return original(self, *arguments)

    monkeypatch.setattr(RunDirectory, moment, meanwhile)
    with pytest.raises(OtherWriter, match=r"metrics\.jsonl: another process has written there, so this one ends"):
        run_training(small(), tmp_path)
    assert measured(tmp_path) == measured(finished)
    assert load_run(tmp_path).manifest["status"] == "complete"


def test_a_damaged_table_is_not_what_the_page_shows(copy: Path, finished: Path) -> None:
    (copy / "metrics.csv").write_text("epoch\n1\n")
    (copy / "predictions.json").unlink()
    for directory in (copy, finished):
        render_run(directory)
    assert (copy / "report.html").read_text() == (finished / "report.html").read_text()


def test_rows_of_another_program_need_no_seals(tmp_path: Path) -> None:
    row = {"epoch": 1, "step": 1, "split": "train", "layer": "penultimate", "risk": 0.5}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    assert read_rows(tmp_path / "metrics.jsonl").rows == [row]
    for wrong, said in (
        ([1], "is no row"),
        ({"epoch": 1}, "is a row without step"),
        (row | {"risk": "a"}, "some"),
    ):
        (tmp_path / "metrics.jsonl").write_text(json.dumps(wrong) + "\n")
        with pytest.raises(RunError, match=rf"metrics\.jsonl: damaged \(line 1 .*{said}"):
            read_rows(tmp_path / "metrics.jsonl")


def test_the_configuration_in_the_directory_is_the_one_that_is_sealed(finished: Path) -> None:
    assert (finished / "config.yaml").read_text() == dump_config(small())

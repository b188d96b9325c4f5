"""The run directory: locked by one process and one configuration, whole after any fault."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from small_runs import Open, network

from nc_bench.config import load_config
from nc_bench.runs import RunError
from nc_bench.runs.files import write_bytes, write_json, write_text

ROOT = Path(__file__).parents[2]


def names(path: Path) -> set[str]:
    return {file.name for file in path.iterdir()}


def test_a_new_directory_is_made_with_its_parents_and_holds_the_resolved_configuration(
    tmp_path: Path, locked: Open
) -> None:
    run = locked(tmp_path / "a" / "b c")
    assert load_config(run.path / "config.yaml") == network()
    assert "decay_biases: true" in (run.path / "config.yaml").read_text()
    assert run.manifest() == {} and run.rows() == [] and run.checkpoints() == []


def test_to_resume_where_nothing_is_means_to_start(tmp_path: Path, at: Open) -> None:
    assert at(tmp_path / "new").lock(network(), resume=True) is False


def test_the_same_run_is_only_continued_when_asked(tmp_path: Path, locked: Open, at: Open) -> None:
    locked(tmp_path).release()
    refused = at(tmp_path)
    with pytest.raises(RunError, match=r"holds a run already; continue it with --resume or choose another --out$"):
        refused.lock(network(), resume=False)
    refused.release()
    assert at(tmp_path).lock(network(), resume=True) is True


@pytest.mark.parametrize("resume", [False, True])
def test_another_run_is_refused_and_the_changed_key_named(tmp_path: Path, resume: bool, locked: Open, at: Open) -> None:
    locked(tmp_path).release()
    before = (tmp_path / "config.yaml").read_bytes()
    other = network(seed=3, optimizer={"lr": 0.1})
    with pytest.raises(RunError) as caught:
        at(tmp_path).lock(other, resume=resume)
    changes = "seed: 0 -> 3; optimizer.lr: 0.05 -> 0.1"
    assert str(caught.value) == f"{tmp_path}: holds another run ({changes}); choose another --out"
    assert (tmp_path / "config.yaml").read_bytes() == before


def test_a_run_of_an_earlier_version_is_continued_or_refused_by_what_its_configuration_says(
    tmp_path: Path, locked: Open, at: Open
) -> None:
    locked(tmp_path).release()
    written = yaml.safe_load((tmp_path / "config.yaml").read_text())
    del written["objective"]["class_weights"]  # a key that came later
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(written))
    run = at(tmp_path)
    assert run.lock(network(), resume=True) is True
    run.release()
    written["objective"]["class_balance"] = 1  # one that has gone
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(written))
    with pytest.raises(RunError) as caught:
        at(tmp_path).lock(network(), resume=True)
    assert str(caught.value).startswith(f"{tmp_path / 'config.yaml'}: objective.class_balance: unknown key")
    assert str(caught.value).endswith("if another version of nc_bench made this run, choose another --out")
    assert "\n" not in str(caught.value)


def test_more_epochs_and_another_device_are_no_other_run(tmp_path: Path, locked: Open, at: Open) -> None:
    locked(tmp_path).release()
    longer = network(device="auto", training={"epochs": 9, "checkpoint_seconds": 5})
    run = at(tmp_path)
    assert run.lock(longer, resume=True) is True
    run.write_config(longer)
    assert load_config(run.path / "config.yaml") == longer


def test_a_damaged_configuration_is_named(tmp_path: Path, locked: Open, at: Open) -> None:
    locked(tmp_path).release()
    (tmp_path / "config.yaml").write_text("data: {name: digits")
    with pytest.raises(ValueError, match=r"config\.yaml, line 1"):
        at(tmp_path).lock(network(), resume=True)


def test_two_writers_at_once_are_refused(tmp_path: Path, locked: Open, at: Open) -> None:
    run = locked(tmp_path)
    message = f"{tmp_path}: another process is writing there"
    with pytest.raises(RunError, match=message):
        at(tmp_path).lock(network(), resume=True)
    program = (
        "import sys; from pathlib import Path; from nc_bench.runs import RunDirectory; "
        "from nc_bench.config import load_config; path = Path(sys.argv[1]); "
        "RunDirectory(path).lock(load_config(path / 'config.yaml'), resume=True)"
    )
    other = [sys.executable, "-c", program, str(tmp_path)]
    assert message in subprocess.run(other, cwd=ROOT, capture_output=True, text=True).stderr
    run.release()
    assert at(tmp_path).lock(network(), resume=True) is True


def test_places_that_cannot_be_written(tmp_path: Path, at: Open) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nc_bench_run")):
        run = at(place)
        with pytest.raises(OSError):
            run.lock(network(), resume=False)
        run.release()
    assert names(tmp_path) == {"file"}


def test_a_damaged_manifest_is_named_with_its_line(tmp_path: Path, locked: Open) -> None:
    run = locked(tmp_path)
    for content in (b'{\n "status": "comp\n', b'{\n "status": "\xff"}'):
        (tmp_path / "manifest.json").write_bytes(content)
        with pytest.raises(RunError, match=r"manifest\.json: damaged \(line 2 is not "):
            run.manifest()


def test_checkpoints_the_newest_first_and_one_before_it(tmp_path: Path, locked: Open) -> None:
    run = locked(tmp_path)
    for content in (b"one", b"two", b"three"):
        run.save_checkpoint(content)
    assert [path.read_bytes() for path in run.checkpoints()] == [b"three", b"two"]
    assert names(tmp_path) == {".lock", "config.yaml", "metrics.jsonl", "checkpoint.pt", "checkpoint.before.pt"}


def test_a_kill_between_any_two_renames_leaves_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: Open
) -> None:
    run = locked(tmp_path)
    run.save_checkpoint(b"one")
    run.save_checkpoint(b"two")
    renamed = Path.replace

    class Killed(BaseException):
        pass

    for allowed in range(4):
        done: list[Path] = []

        def replace(path: Path, target: Path, done: list[Path] = done, allowed: int = allowed) -> Path:
            if len(done) == allowed:
                raise Killed
            done.append(path)
            return renamed(path, target)

        monkeypatch.setattr(Path, "replace", replace)
        with suppress(Killed):
            run.save_checkpoint(b"three")
        kept = [path.read_bytes() for path in run.checkpoints()]
        assert kept[0] == [b"two", b"two", b"two", b"three"][allowed]
        assert set(kept) <= {b"one", b"two", b"three"}


def test_a_failed_write_leaves_the_old_content_and_no_debris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nc_bench.runs.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_bytes(path, b"new")
    assert path.read_text() == "old" and names(tmp_path) == {"file"}


def test_rows_that_do_not_fit_are_taken_back(tmp_path: Path) -> None:
    """In a process of its own: the limit on a file's size stands in for a disk that is full."""
    program = (
        "import resource, sys; from pathlib import Path; from nc_bench.runs import RunDirectory\n"
        "run = RunDirectory(Path(sys.argv[1]))\n"
        "row = {'step': 1, 'epoch': 1, 'split': 'test', 'layer': 'x' * 5000}\n"
        "run.append([row])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))\n"
        "try: run.append([row, row])\n"
        "except OSError as error: print(error.errno)\n"
        "print(len(run.rows()), (run.path / 'metrics.jsonl').stat().st_size)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["27", "1", "5132"]


def test_json_has_no_number_that_json_cannot_hold(tmp_path: Path) -> None:
    write_json(tmp_path / "f.json", {"a": [math.nan, (1.5, -math.inf)], "b": {"c": math.inf}, "d": [1, None, "x"]})
    content = json.loads((tmp_path / "f.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert content == {"a": [None, [1.5, None]], "b": {"c": None}, "d": [1, None, "x"]}

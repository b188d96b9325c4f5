"""Reading a run directory back, with and without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_runs import network

from nc_bench import load_run
from nc_bench.config import dump_config
from nc_bench.runs import RunError
from nc_bench.runs.files import write_json, write_text

ROOT = Path(__file__).parents[2]
ROWS = (
    '{"epoch": 1, "step": 11, "split": "train", "layer": "penultimate", "risk": 0.5, "nc1_pinv": null, '
    '"objective": 0.6, "seconds": 1.5, "reasons": {"nc1_pinv": "class 2 is empty"}}\n'
    '{"epoch": 1, "step": 11, "split": "test", "layer": "penultimate", "risk": 0.7, "nc1_pinv": 2, '
    '"objective": null, "seconds": 1.5, "reasons": {}}\n'
)
PREDICTION = {
    "name": "risk",
    "claim": "c",
    "predicted": 0,
    "null": None,
    "measured": 0.5,
    "later": None,
    "deviation": 0.5,
}
VERDICT = {"tolerance": 0.05, "verdict": "fails", "rest": "", "assumption": "a", "source": "s"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_text(tmp_path / "config.yaml", dump_config(network()))
    write_json(tmp_path / "manifest.json", {"status": "complete", "classes": 10})
    write_text(tmp_path / "metrics.jsonl", ROWS)
    write_json(tmp_path / "predictions.json", [PREDICTION | VERDICT])
    return tmp_path


def test_everything_that_a_directory_holds(directory: Path) -> None:
    run = load_run(str(directory))
    assert run.path == directory
    assert run.config == network().model_dump(mode="json")
    assert run.manifest == {"status": "complete", "classes": 10}
    assert run.rows["epoch"].tolist() == [1, 1] and run.rows["split"].tolist() == ["train", "test"]
    assert list(run.rows)[-1] == "seconds" and "reasons" not in run.rows
    assert run.rows["nc1_pinv"].isna().tolist() == [True, False]
    assert run.reasons == {(1, "train", "penultimate", "nc1_pinv"): "class 2 is empty"}
    assert list(run.predictions) == list(PREDICTION | VERDICT)
    assert run.predictions.loc[0, "verdict"] == "fails"


def test_types(directory: Path) -> None:
    run = load_run(directory)
    integers, texts = {"epoch", "step"}, {"split", "layer", "name", "claim", "verdict", "rest", "assumption", "source"}
    for frame in (run.rows, run.predictions):
        for name in frame:
            kind = str(frame[name].dtype)
            if name in texts:
                assert kind in ("str", "object"), name
            else:
                assert kind == ("int64" if name in integers else "float64"), name


def test_a_run_that_has_not_ended(directory: Path) -> None:
    (directory / "predictions.json").unlink()
    (directory / "metrics.jsonl").write_text(ROWS[:-20])
    run = load_run(directory)
    assert run.predictions.empty and "verdict" in run.predictions
    assert run.rows["split"].tolist() == ["train"]


def test_a_run_that_has_measured_nothing(directory: Path) -> None:
    (directory / "metrics.jsonl").unlink()
    run = load_run(directory)
    assert len(run.rows) == 0 and run.rows[run.rows["split"] == "train"].empty


@pytest.mark.parametrize("missing", ["config.yaml", "manifest.json"])
def test_what_is_no_run(directory: Path, missing: str) -> None:
    (directory / missing).unlink()
    for place in (directory, directory / "elsewhere"):
        with pytest.raises(RunError, match=rf"{place}: holds no run \(config\.yaml and manifest\.json are looked for"):
            load_run(place)


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("config.yaml", b"data: {name: digits\nmodel: 3", "line 2"),
        ("config.yaml", b"data: \xff", "invalid start byte"),
        ("manifest.json", b'{"status": "complete"', "line 1"),
        ("metrics.jsonl", ROWS.encode() + b'{"epoch": }\n', "line 3"),
        ("metrics.jsonl", b"\xfe" + ROWS.encode(), "line 1"),
        ("predictions.json", b'[\n{"name": "risk"\n', "line 3"),
    ],
)
def test_a_damaged_file_is_named_on_one_line(directory: Path, name: str, content: bytes, place: str) -> None:
    (directory / name).write_bytes(content)
    with pytest.raises(RunError) as caught:
        load_run(directory)
    message = str(caught.value)
    assert message.startswith(f"{directory / name}: damaged (") and place in message and "\n" not in message


def test_torch_is_not_needed(directory: Path) -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'safetensors.torch'): sys.modules[name] = None\n"
        "from nc_bench import load_run, predict\n"
        "run = load_run(sys.argv[1])\n"
        "print(len(run.rows), run.predictions.loc[0, 'verdict'], *run.reasons.values())\n"
    )
    done: Any = subprocess.run(
        [sys.executable, "-c", program, str(directory)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "2 fails class 2 is empty"

"""The rows of a run: kept to the last bit, cut where a checkpoint is older, named where they are damaged."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from small_runs import Open

from nc_bench.runs import RunDirectory, RunError
from nc_bench.runs.directory import Verdict
from nc_bench.runs.rows import Seal, read_rows, rows_to_frame


def row(step: int, **columns: Any) -> dict[str, Any]:
    keys = {"epoch": step, "step": step, "split": "train", "layer": "penultimate"}
    return {**keys, "risk": 1.0 / (1 + step), "seconds": 0.1, "reasons": {}, **columns}


def test_rows_keep_every_bit_and_undefined_values_are_null(tmp_path: Path, locked: Open) -> None:
    run = locked(tmp_path)
    value = 0.1 + 0.2
    run.append([row(1, risk=value, nc1_pinv=math.nan, nc1_cdnv=math.inf, reasons={"nc1_pinv": "one class"})])
    run.append([row(2), row(3)])
    first, *rest = run.rows()
    assert first["risk"] == value
    assert first["nc1_pinv"] is None and first["nc1_cdnv"] is None and first["reasons"] == {"nc1_pinv": "one class"}
    assert [other["step"] for other in rest] == [2, 3]
    text = (tmp_path / "metrics.jsonl").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert len(text.splitlines()) == 3


def test_rows_newer_than_the_checkpoint_are_cut(tmp_path: Path, locked: Open) -> None:
    run = locked(tmp_path)
    run.append([row(step) for step in (0, 1, 1)])
    seal = run.seal
    run.append([row(step) for step in (2, 3)])
    again = RunDirectory(tmp_path)
    again.go_back(seal)
    again.cut()
    assert [r["step"] for r in again.rows()] == [0, 1, 1]
    again.append([row(5)])
    assert [r["step"] for r in again.rows()] == [0, 1, 1, 5]
    again.go_back(Seal())
    again.cut()
    assert again.rows() == []


def test_features_of_epochs_whose_rows_are_cut_go_with_them(tmp_path: Path, locked: Open) -> None:
    run = locked(tmp_path)
    first, second = ({"epoch": e, "step": 3 * e, "split": "train", "layer": "penultimate"} for e in (1, 2))
    run.append([first])
    seal = run.seal
    run.append([second])
    folder = tmp_path / "features"
    folder.mkdir()
    mine = ["picture-00001", "picture-00002", "features-00001-train", "features-00002-test", "features-123456-train"]
    for name in [*mine, "mine-00002", "features-00002-all"]:
        (folder / f"{name}.safetensors").touch()
    run.go_back(seal)
    run.cut()
    left = {path.stem for path in folder.iterdir()}
    assert left == {"picture-00001", "features-00001-train", "mine-00002", "features-00002-all"}


def test_a_last_line_that_was_cut_off_is_no_row_at_any_length(tmp_path: Path, locked: Open) -> None:
    run, path = locked(tmp_path), tmp_path / "metrics.jsonl"
    run.append([row(1), row(2, reasons={"nc1_pinv": "é"})])
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])
        assert [r["step"] for r in read_rows(path).rows] == [1]
    path.write_bytes(whole[:-1])
    again = RunDirectory(tmp_path)
    again.go_back(again.seal)
    again.cut()
    again.append([row(2)])
    assert [r["step"] for r in again.rows()] == [1, 2]


@pytest.mark.parametrize("damage", [b'{"epoch": 2, "st', b"\xff\xfe", b""])
def test_a_damaged_row_is_named_with_its_line(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    whole = json.dumps(row(1)).encode()
    path.write_bytes(whole + b"\n" + damage + b"\n" + whole + b"\n")
    with pytest.raises(RunError, match=r"metrics\.jsonl: damaged \(line 2 is not "):
        read_rows(path)


def test_tables_of_rows() -> None:
    frame = rows_to_frame([row(1, nc1_pinv=None, extra=None), row(2, nc1_pinv=0.5, late=1)])
    assert list(frame) == ["epoch", "step", "split", "layer", "risk", "nc1_pinv", "extra", "late", "seconds"]
    assert all(str(frame[name].dtype) == "float64" for name in ("risk", "nc1_pinv", "extra", "late", "seconds"))
    assert str(frame["epoch"].dtype) == str(frame["step"].dtype) == "int64"
    assert frame["nc1_pinv"].isna().tolist() == [True, False]


def test_a_table_of_no_rows_has_its_columns() -> None:
    frame = rows_to_frame([])
    assert list(frame) == ["epoch", "step", "split", "layer", "seconds"] and len(frame) == 0
    assert str(frame["epoch"].dtype) == "int64"


def test_the_end_of_a_run(tmp_path: Path, locked: Open) -> None:
    run = locked(tmp_path)
    run.append([row(1, risk=0.1 + 0.2), row(2, risk=math.nan)])
    said = {"claim": "least risk", "verdict": "not applicable", "assumption": "", "source": ""}
    numbers = dict.fromkeys(("predicted", "null", "measured", "deviation", "tolerance"), math.nan)
    run.finish([Verdict(name="risk", **said, **numbers)])  # type: ignore[typeddict-item]
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines == [
        "epoch,step,split,layer,risk,seconds",
        "1,1,train,penultimate,0.30000000000000004,0.1",
        "2,2,train,penultimate,,0.1",
    ]
    entries = json.loads((tmp_path / "predictions.json").read_text())
    assert entries == [{"name": "risk", **said, **dict.fromkeys(numbers)}]

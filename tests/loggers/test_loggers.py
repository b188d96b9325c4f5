"""Rows that go to CSV, TensorBoard, W&B and MLflow, read back with the real libraries; loggers that fail."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_runs import kill, measured, network, run_until, tiny_dataset

from nc_bench import load_run
from nc_bench.errors import ConfigError
from nc_bench.loggers import LoggedRun, LoggerGroup, check_installed
from nc_bench.training import run_training

Row = dict[str, Any]
Values = Mapping[str, Mapping[int, float]]
"""By series and metric the values by epoch."""


def row(epoch: int, split: str = "train", *, layer: str = "penultimate", risk: float | None = None) -> Row:
    numbers = {"risk": 1 / (1 + epoch) if risk is None else risk, "nc1_pinv": math.nan, "seconds": 1.0}
    return {"epoch": epoch, "step": 10 * epoch, "split": split, "layer": layer, **numbers, "reasons": {"nc1_pinv": "?"}}


def resumed(name: str, path: Path) -> None:
    """Log epochs 0 to 2 of which 2 is dropped, and go on after epoch 1."""
    earlier = [row(0), row(0, "test"), row(1), row(1, "test"), row(2, risk=99.0)]
    for kept, new in (([], earlier), (earlier[:4], [row(2), row(2, "test"), row(3), row(3, layer="layer1")])):
        group = LoggerGroup([name])
        group.open(LoggedRun(path=path, id="run7", settings={"optimizer.lr": 0.1, "model.widths": (8, 4)}, rows=kept))
        group.log(new)
        group.close()


def from_csv(path: Path) -> Values:
    frame = pd.read_csv(path / "log.csv")
    found: dict[str, dict[int, float]] = {}
    for entry in frame.itertuples():
        layer = "" if entry.layer == "penultimate" else f"{entry.layer}/"
        assert entry.epoch not in found.setdefault(f"{entry.split}/{layer}risk", {}), "twice"
        found[f"{entry.split}/{layer}risk"][entry.epoch] = entry.risk
    assert frame["nc1_pinv"].isna().all() and list(frame.columns[:4]) == ["epoch", "step", "split", "layer"]
    return found


def from_tensorboard(path: Path) -> Values:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

    events = EventAccumulator(str(path / "tensorboard"))
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.endswith("/risk")]
    assert not any("nc1_pinv" in tag for tag in events.Tags()["scalars"])
    return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in tags}


def wandb_records(content: bytes) -> Iterator[bytes]:
    """The records of an offline run: after a header of 7 bytes, a log of LevelDB in blocks of 32 KiB."""
    place, parts = 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        if place + 7 + length > len(content):
            return
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield parts
            parts = b""


def wandb_parsed(file: Path) -> list[Any]:
    """The records of an offline run once the last is there: W&B's own process writes on after `finish` has returned."""
    from wandb.proto import wandb_internal_pb2

    proto: Any = wandb_internal_pb2
    for _ in range(1000):
        records = [proto.Record.FromString(content) for content in wandb_records(file.read_bytes())]
        if records and records[-1].HasField("exit"):
            return records
        time.sleep(0.02)
    raise AssertionError(f"{file} has no end")


def from_wandb(path: Path) -> Values:
    """Of all offline runs of this id, as `wandb sync` sends them: the first entry of an epoch counts."""
    found: dict[str, dict[int, float]] = {}
    files = sorted(path.glob("wandb/offline-run-*/run-run7.wandb"))
    assert len(files) == 2
    for record in (record for file in files for record in wandb_parsed(file)):
        for item in record.history.item:
            name = item.key or "/".join(item.nested_key)
            if name.endswith("risk"):
                found.setdefault(name, {}).setdefault(record.history.step.num, float(item.value_json))
    return found


def from_mlflow(path: Path) -> Values:
    from mlflow.tracking import MlflowClient

    client = MlflowClient((path / "mlflow").as_uri())
    (run,) = client.search_runs([client.get_experiment_by_name("nc_bench").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params == {"optimizer.lr": "0.1", "model.widths": "(8, 4)"}
    found = {}
    for name in run.data.metrics:
        history = client.get_metric_history(run.info.run_id, name)
        assert len({point.step for point in history}) == len(history), "twice"
        if name.endswith("/risk"):
            found[name] = {point.step: point.value for point in history}
    return found


READERS: dict[str, Callable[[Path], Values]] = {
    "csv": from_csv,
    "tensorboard": from_tensorboard,
    "wandb": from_wandb,
    "mlflow": from_mlflow,
}
REPLACED = {"csv", "tensorboard"}
"""Where what was dropped can be replaced; the others keep the first value of an epoch."""


@pytest.mark.slow  # 25 s for the three libraries, most of it their imports
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*READERS])
def test_a_resumed_run_is_logged_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("WANDB_MODE", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
        monkeypatch.delenv(variable, raising=False)
    resumed(name, tmp_path)
    found = READERS[name](tmp_path)
    second = 1 / 3 if name in REPLACED else 99.0
    expected = {
        "train/risk": {0: 1.0, 1: 0.5, 2: second, 3: 0.25},
        "test/risk": {0: 1.0, 1: 0.5, 2: 1 / 3},
        "train/layer1/risk": {3: 0.25},
    }
    assert {key: pytest.approx(values, rel=1e-6) for key, values in expected.items()} == found


class Failing:
    """A logger of a user that fails at its second row."""

    def __init__(self) -> None:
        self.rows: list[Mapping[str, Any]] = []
        self.closed = False

    def log(self, row: Mapping[str, Any]) -> None:
        if self.rows:
            raise RuntimeError("the server\nis gone")
        self.rows.append(row)

    def close(self) -> None:
        self.closed = True


def test_a_logger_that_fails_is_named_once_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failing = Failing()
    group = LoggerGroup([failing, "csv"])
    group.open(LoggedRun(path=tmp_path, id="run7"))
    group.log([row(0), row(1), row(2)])
    group.close()
    assert [entry["epoch"] for entry in failing.rows] == [0] and not failing.closed
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"{tmp_path}: the logger Failing 0 failed and is left out from now on (the server is gone)"
    assert from_csv(tmp_path) == {"train/risk": pytest.approx({0: 1.0, 1: 0.5, 2: 1 / 3})}


def test_a_logger_that_cannot_be_used_is_refused_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"record.log: 'tensorbord' is no logger; did you mean 'tensorboard'\?"):
        check_installed(["tensorbord"])
    with pytest.raises(ConfigError, match=r"record.log: a object has no methods log\(row\) and close\(\)"):
        check_installed([object()])
    monkeypatch.setattr("nc_bench.loggers.group.find_spec", lambda name: None)
    check_installed(["csv"])
    with pytest.raises(
        ConfigError, match=r"wandb needs wandb, which is not installed: pip install 'nc_bench\[wandb\]'"
    ):
        check_installed(["wandb"])


def test_a_run_of_ours_is_logged_row_by_row_and_has_the_hash_of_one_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda settings: tiny_dataset())
    plain, logged = (
        network(
            model={"name": "mlp", "widths": [8, 4]},
            training={"epochs": 3, "batch_size": 10, "checkpoint_seconds": 0},
            record={"log": log},
        )
        for log in ([], ["csv"])
    )
    run_training(plain, tmp_path / "plain")
    assert run_until(4, kill, logged, tmp_path / "logged") == "killed"
    run_training(logged, tmp_path / "logged", resume=True)
    assert measured(tmp_path / "plain") == measured(tmp_path / "logged")
    rows = load_run(tmp_path / "logged").rows
    kept = pd.read_csv(tmp_path / "logged" / "log.csv")
    pd.testing.assert_frame_equal(kept, rows, check_dtype=False, check_exact=False, rtol=1e-12)
    hashes = [load_run(tmp_path / name).manifest["config_hash"] for name in ("plain", "logged")]
    assert hashes[0] == hashes[1]

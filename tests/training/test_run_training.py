"""One run from its configuration to its directory, on a tiny data set: endings, refusals, what is written."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from small_runs import measured, network, table, tiny_dataset

from nc_bench import load_run
from nc_bench.config import Config, ConfigError
from nc_bench.distributed import Processes
from nc_bench.metrics import METRIC_NAMES
from nc_bench.recording import Recorder
from nc_bench.recording.depth import ANGLES, DEPTH_NAMES, SEPARATION
from nc_bench.runs import RunError
from nc_bench.training import run_training
from nc_bench.training.checkpoint import read_checkpoint
from nc_bench.training.device import resolve_device
from nc_bench.training.ensemble import Ensemble

MODEL = {"name": "mlp", "widths": [8, 4], "batch_norm": True, "final_activation": False}
FREE = {"features": None, "head": None}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda settings: tiny_dataset())


def small(epochs: int = 3, **sections: Any) -> Config:
    training = {"epochs": epochs, "batch_size": 10}
    return network(**({"model": MODEL, "training": training, "schedule": {"name": "constant"}} | sections))


def at_step(monkeypatch: pytest.MonkeyPatch, number: int, action: Any) -> None:
    """Do something to the ensemble before its step of this number, which counts from zero."""
    step = Ensemble._step

    def acting(self: Ensemble, *batch: torch.Tensor) -> None:
        if self.step_count == number:
            action(self)
        step(self, *batch)

    monkeypatch.setattr(Ensemble, "_step", acting)


def poison(ensemble: Ensemble) -> None:
    with torch.no_grad():
        ensemble.model.head.weight.fill_(math.nan)


def test_a_complete_run(tmp_path: Path) -> None:
    assert run_training(small(), tmp_path) == "complete"
    run = load_run(tmp_path)
    assert run.rows["epoch"].tolist() == [1, 1, 2, 2, 3, 3] and run.rows["step"].tolist() == [3, 3, 6, 6, 9, 9]
    assert run.rows["split"].tolist() == ["train", "test"] * 3 and set(run.rows["layer"]) == {"penultimate"}
    further = [
        *("objective", "learning_rate", "gradient_norm", "stationarity_residual"),
        *("feature_residual", "head_residual", "seconds"),
    ]
    assert list(run.rows) == ["epoch", "step", "split", "layer", *METRIC_NAMES, *further]
    train, test = run.rows.iloc[4], run.rows.iloc[5]
    assert train["objective"] == train["risk"] and math.isnan(test["objective"])
    assert run.rows["seconds"].is_monotonic_increasing
    assert "risk" in set(run.predictions["name"]) and "risk_gap" in set(run.predictions["name"])
    assert run.config == small().model_dump(mode="json")


def test_every_layer_has_its_rows(tmp_path: Path) -> None:
    assert run_training(small(2, record={"layers": "all"}), tmp_path / "deep") == "complete"
    assert run_training(small(2), tmp_path / "alone") == "complete"
    deep, alone = load_run(tmp_path / "deep"), load_run(tmp_path / "alone")
    assert deep.rows["layer"].tolist() == ["penultimate", "layer1", "layer2"] * 4
    assert deep.rows["split"].tolist() == (["train"] * 3 + ["test"] * 3) * 2
    inner = deep.rows[deep.rows["layer"] != "penultimate"]
    assert inner["nc1_quotient"].notna().all() and inner[["risk", "objective", "head_residual"]].isna().to_numpy().all()
    at_the_end = deep.rows[deep.rows["layer"] == "penultimate"].reset_index(drop=True)
    depth = [*SEPARATION, *ANGLES]
    assert at_the_end[depth].notna().all(axis=None) and not set(DEPTH_NAMES) & set(alone.rows)
    at_the_end = at_the_end.drop(columns=depth)
    pd.testing.assert_frame_equal(at_the_end.drop(columns="seconds"), alone.rows.drop(columns="seconds"))
    efficiencies = deep.predictions["name"] == "budget_efficiencies"  # two of the six need no head
    assert "(40 measurements)" in deep.predictions.loc[efficiencies, "claim"].item()
    pd.testing.assert_frame_equal(deep.predictions[~efficiencies], alone.predictions[~efficiencies])


def test_what_is_asked_for_besides_has_its_rows_and_columns(tmp_path: Path) -> None:
    record = {"per_class": ["accuracy", "risk"], "correct_only": True, "kernel_share": True, "hull_overlap": 200}
    assert run_training(small(2, record=record), tmp_path) == "complete"
    rows = load_run(tmp_path).rows
    assert rows["split"].tolist() == ["train", "train_correct", "test", "test_correct"] * 2
    train, test, correct = rows.iloc[4], rows.iloc[6], rows.iloc[7]
    for name in ("accuracy", "risk"):
        mean = sum(test[f"{name}_class_{label}"] for label in range(3)) / 3  # test classes are of one size
        assert mean == pytest.approx(test["risk_balanced" if name == "risk" else name], rel=1e-12)
    assert correct["accuracy"] == 1 and correct["nc1_quotient"] > 0
    assert 0 <= train["kernel_share"] <= 1 and 0 <= test["kernel_share"] <= 1
    assert rows["hull_overlap"].notna().tolist() == [False] * 4 + [True] + [False] * 3
    assert math.isnan(correct["kernel_share"]) and math.isnan(correct["objective"])


def test_a_layer_that_does_not_exist_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^record.layers: 'layer3' is no module .*did you mean 'layer[12]'"):
        run_training(small(record={"layers": ["layer3"]}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_manifest(tmp_path: Path) -> None:
    run_training(small(), tmp_path)
    manifest = load_run(tmp_path).manifest
    assert (manifest["status"], manifest["epochs_done"], manifest["epochs"]) == ("complete", 3, 3)
    assert manifest["classes"] == 3 and manifest["class_counts"] == [8, 8, 8]
    assert manifest["samples"] == {"train": 24, "test": 9} and manifest["device"] == "cpu"
    # 5 inputs, 8 hidden, 4 features with biases, one batch norm, a head without bias.
    assert manifest["parameters"] == 5 * 8 + 8 + 2 * 8 + 8 * 4 + 4 + 4 * 3
    assert manifest["versions"]["torch"] == torch.__version__ and manifest["seeds"]["seed"] == 0
    assert manifest["config_hash"] and manifest["threads"] == torch.get_num_threads()


def test_the_manifest_tells_training_from_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Recorder.record

    def slowly(self: Recorder, *arguments: Any, **keywords: Any) -> Any:
        time.sleep(0.05)
        return record(self, *arguments, **keywords)

    monkeypatch.setattr(Recorder, "record", slowly)
    assert run_training(small(2), tmp_path) == run_training(small(4), tmp_path, resume=True) == "complete"
    manifest = load_run(tmp_path).manifest
    # Two splits in each of four epochs, also those before the run was extended.
    assert 8 * 0.05 < manifest["recording_seconds"] < manifest["seconds"]
    training = manifest["seconds"] - manifest["recording_seconds"]
    assert manifest["samples_per_second"] == pytest.approx(4 * 24 / training, rel=1e-9)


def test_the_csv_holds_every_bit_of_the_rows(tmp_path: Path) -> None:
    run_training(small(), tmp_path)
    header, *lines = (line.split(",") for line in (tmp_path / "metrics.csv").read_text().splitlines())
    for row, line in zip(load_run(tmp_path).rows.to_dict("records"), lines, strict=True):
        for name, text in zip(header, line, strict=True):
            value = row[name]
            assert text == value if isinstance(value, str) else (float(text or "nan") == value or value != value)


def test_runs_are_the_same_again_and_differ_by_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run_training(small(seed=seed), tmp_path / name)
    assert measured(tmp_path / "a") == measured(tmp_path / "b") != measured(tmp_path / "c")


def test_the_objective_is_the_risk_and_both_penalties(tmp_path: Path) -> None:
    objective = {"weight_decay": 0.1, "feature_decay": 0.02, "decay_biases": False}
    run_training(table(constraints=FREE, objective=objective), tmp_path)
    row = load_run(tmp_path).rows.iloc[-1]
    model = read_checkpoint(tmp_path / "checkpoint.pt").state["model"]
    weight, features = model["head.weight"], model["backbone.features"]
    penalty = 0.05 * float(weight.square().sum()) + 0.01 * float(features.square().sum())
    assert row["objective"] == pytest.approx(row["risk"] + penalty, rel=1e-13) and penalty > 0.1


def test_listed_epochs_and_the_untrained_model(tmp_path: Path) -> None:
    run_training(small(5, record={"every": [0, 2]}), tmp_path)
    run = load_run(tmp_path)
    assert run.rows["epoch"].tolist() == [0, 0, 2, 2, 5, 5] and run.rows["step"].tolist() == [0, 0, 6, 6, 15, 15]
    assert {path.name for path in (tmp_path / "features").iterdir()} == {
        "classes-00005.safetensors",
        "picture-00000.safetensors",
        "picture-00002.safetensors",
        "picture-00005.safetensors",
    }


def test_the_learning_rate_that_is_written_is_that_of_the_next_step_and_at_the_end_of_the_last(tmp_path: Path) -> None:
    schedule = {"name": "multi_step", "milestones": [0.5], "factor": 0.1}
    run_training(small(4, schedule=schedule), tmp_path)
    rates = load_run(tmp_path).rows["learning_rate"].tolist()[::2]
    assert rates == pytest.approx([0.05, 0.005, 0.005, 0.005])


def test_undefined_metrics_have_reasons_for_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny_dataset()
    relabelled = dataclasses.replace(data, classes=4)
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda settings: relabelled)
    assert run_training(small(), tmp_path) == "complete"
    run = load_run(tmp_path)
    undefined = {
        (int(row["epoch"]), str(row["split"]), "penultimate", name)
        for row in run.rows.to_dict("records")
        for name in (*METRIC_NAMES, "stationarity_residual")
        if row["split"] == "train" or name in METRIC_NAMES
        if math.isnan(row[name])
    }
    assert undefined == set(run.reasons) and (1, "train", "penultimate", "nc2_equiangular") in undefined
    assert all(run.reasons.values()) and not list((tmp_path / "features").glob("picture-*"))


def test_a_run_that_diverges_at_once(tmp_path: Path) -> None:
    wild = small(model={"name": "mlp", "widths": [8, 4]}, constraints=FREE, optimizer={"name": "sgd", "lr": 1e30})
    assert run_training(wild, tmp_path) == "diverged"
    run = load_run(tmp_path)
    assert run.manifest["status"] == "diverged" and run.manifest["epochs_done"] == 0
    assert run.rows.empty and run.predictions.empty
    assert run_training(wild, tmp_path, resume=True) == "diverged"


@pytest.mark.parametrize("step", [6, 7, 8])
def test_a_run_that_diverges_keeps_the_last_finite_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    run_training(small(2), tmp_path / "short")
    at_step(monkeypatch, step, poison)
    assert run_training(small(5), tmp_path / "long") == "diverged"
    run = load_run(tmp_path / "long")
    assert (run.manifest["status"], run.manifest["epochs_done"]) == ("diverged", 2)
    assert measured(tmp_path / "long") == measured(tmp_path / "short")
    assert run.rows["risk"].notna().all() and len(run.predictions) > 5


def test_a_run_that_diverges_between_recorded_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_step(monkeypatch, 7, poison)
    assert run_training(small(5, record={"every": [1]}), tmp_path) == "diverged"
    run = load_run(tmp_path)
    assert run.rows["epoch"].tolist() == [1, 1] and run.manifest["epochs_done"] == 2


def test_weights_that_the_last_step_of_an_epoch_breaks_are_seen_by_the_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Ensemble._step

    def breaking(self: Ensemble, *batch: torch.Tensor) -> None:
        step(self, *batch)
        if self.step_count == 5:
            poison(self)

    monkeypatch.setattr(Ensemble, "_step", breaking)
    assert run_training(small(5), tmp_path) == "diverged"
    assert load_run(tmp_path).rows["epoch"].tolist() == [1, 1]


def test_a_complete_run_is_left_as_it_is(tmp_path: Path) -> None:
    run_training(small(), tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != ".lock"}
    assert run_training(small(), tmp_path, resume=True) == "complete"
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != ".lock"}
    assert {name for name in before if before[name] != after[name]} <= {"config.yaml"}
    assert before.keys() == after.keys()


def test_a_directory_that_is_taken(tmp_path: Path) -> None:
    run_training(small(), tmp_path)
    with pytest.raises(RunError, match="continue it with --resume"):
        run_training(small(), tmp_path)
    with pytest.raises(RunError, match=r"holds another run \(optimizer\.lr: 0\.05 -> 0\.1\)"):
        run_training(small(optimizer={"lr": 0.1}), tmp_path, resume=True)
    assert run_training(small(4), tmp_path, resume=True) == "complete"


def test_a_problem_of_the_configuration_is_found_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size: 25 is larger"):
        run_training(small(training={"batch_size": 25}), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"^head\.init: "):
        run_training(small(model=MODEL | {"widths": [1]}, head={"init": "simplex"}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_error_in_the_middle_leaves_a_run_that_can_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(ensemble: Ensemble) -> None:
        raise RuntimeError("out of memory")

    run_training(small(), tmp_path / "whole")
    with monkeypatch.context() as patched:
        at_step(patched, 7, fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            run_training(small(), tmp_path / "run")
    assert load_run(tmp_path / "run").manifest["status"] == "failed"
    assert run_training(small(), tmp_path / "run", resume=True) == "complete"
    assert measured(tmp_path / "run") == measured(tmp_path / "whole")


def test_a_run_in_another_thread(tmp_path: Path) -> None:
    thread = threading.Thread(target=run_training, args=(small(), tmp_path / "a"))
    thread.start()
    thread.join()
    run_training(small(), tmp_path / "b")
    assert measured(tmp_path / "a") == measured(tmp_path / "b")


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    for name in ("cuda", "cuda:1"):
        with pytest.raises(ConfigError, match=rf"^device: {name} asked for, but torch sees 0 CUDA devices$"):
            resolve_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert resolve_device("auto").type == "cuda" and resolve_device("cuda:0").index == 0
    with pytest.raises(ConfigError, match="cuda:1 asked for, but torch sees 1 "):
        resolve_device("cuda:1")
    several = Processes(rank=1, size=2, local_rank=1, local_size=2)
    assert resolve_device("auto", several).type == "cpu"
    with pytest.raises(ConfigError, match="cuda asked for by 2 processes, but torch sees 1 "):
        resolve_device("cuda", several)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("auto", several) == resolve_device("cuda", several) == torch.device("cuda:1")
    with pytest.raises(ConfigError, match=r"^device: cuda:0 is one GPU, and there are 2 processes"):
        resolve_device("cuda:0", several)

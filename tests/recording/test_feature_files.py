"""Features that are kept: whole, in order, the same whatever happened to the run, and refused where they do not fit."""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from small_runs import kill, network, run_until, table, tiny_dataset

from nc_bench import collapse_metrics, load_run
from nc_bench.config import Config, ConfigError
from nc_bench.recording import Recorder
from nc_bench.runs import RunError
from nc_bench.training import run_training
from nc_bench.training.run import run_ensemble

MODEL = {"name": "mlp", "widths": [8, 4], "batch_norm": True, "final_activation": False}
DATA = tiny_dataset()


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda settings: DATA)


def small(**record: Any) -> Config:
    training = {"epochs": 4, "batch_size": 10}
    record = {"every": [0, 2, 3], "layers": ["layer1"], "features": True} | record
    return network(model=MODEL, training=training, dtype="float64", record=record)


def test_what_is_kept_is_what_was_measured(tmp_path: Path) -> None:
    run_training(small(), tmp_path)
    run = load_run(tmp_path)
    assert set(run.features) == {(epoch, split) for epoch in (0, 2, 3, 4) for split in ("train", "test")}
    for (epoch, split), path in run.features.items():
        tensors = load_file(path)
        assert set(tensors) == {"features.layer1", "features.penultimate", "labels"}
        assert torch.equal(tensors["labels"], DATA.train_labels if split == "train" else DATA.test_labels)
        with safe_open(path, framework="numpy") as file:
            notes = file.metadata()
        assert len(notes.pop("sha256")) == 64 and notes == {"epoch": str(epoch), "step": str(3 * epoch), "split": split}
        loaded = run.load_features(epoch, split)
        assert set(loaded) == set(tensors) and all(np.array_equal(loaded[name], tensors[name]) for name in tensors)
        for layer in ("layer1", "penultimate"):
            features = tensors[f"features.{layer}"]
            assert features.shape[1] == {"layer1": 8, "penultimate": 4}[layer] and features.dtype == torch.float64
            rows = run.rows[(run.rows["epoch"] == epoch) & (run.rows["split"] == split) & (run.rows["layer"] == layer)]
            for name, value in collapse_metrics(features, tensors["labels"], classes=3).items():
                if name != "ncc_accuracy":
                    assert rows[name].item() == pytest.approx(value, rel=1e-11, abs=1e-13)


def test_features_whose_bits_flip_are_not_read(tmp_path: Path) -> None:
    """At the start, among the notes, in the middle and at the end of a file."""
    run_training(small(), tmp_path)
    run = load_run(tmp_path)
    path = run.features[4, "train"]
    whole = path.read_bytes()
    for place in (0, whole.index(b"split") + 8, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(RunError, match=rf"^{re.escape(str(path))}: damaged \(.*\)$"):
            run.load_features(4, "train")
    path.write_bytes(whole[:-1])
    with pytest.raises(RunError, match=r"damaged \(not a whole safetensors file: .*\)$"):
        run.load_features(4, "train")
    with pytest.raises(
        RunError, match=r"keeps no features of epoch 1 \(train\); kept are: 0 \(test\), 0 \(train\), 2 "
    ):
        run.load_features(1, "train")


def contents(directory: Path) -> dict[str, Any]:
    """Bytes of every tensor and the metadata, whose order in the file is left to chance, by the name of the file."""
    found: dict[str, Any] = {}
    for path in (directory / "features").glob("features-*"):
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
            found[path.name] = (file.metadata(), tensors)
    return found


@pytest.mark.parametrize("step", [1, 7, 10])
def test_a_resumed_run_has_the_same_files(tmp_path: Path, step: int) -> None:
    run_training(small(), tmp_path / "whole")
    assert run_until(step, kill, small(), tmp_path / "run") == "killed"
    assert run_training(small(), tmp_path / "run", resume=True) == "complete"
    assert contents(tmp_path / "run") == contents(tmp_path / "whole") and len(contents(tmp_path / "run")) == 8


def test_only_the_splits_that_are_listed_and_none_unless_asked(tmp_path: Path) -> None:
    run_training(small(features=["test"]), tmp_path / "listed")
    assert {split for _, split in load_run(tmp_path / "listed").features} == {"test"}
    run_training(small(features=False), tmp_path / "none")
    assert load_run(tmp_path / "none").features == {} == contents(tmp_path / "none")


def test_every_trial_of_an_ensemble_keeps_its_own(tmp_path: Path) -> None:
    configs = [small().model_copy(update={"seed": seed}) for seed in (0, 1)]
    run_ensemble(configs, [tmp_path / "0", tmp_path / "1"])
    for seed, config in enumerate(configs):
        run_training(config, tmp_path / f"alone{seed}")
        path = load_run(tmp_path / str(seed)).features[4, "train"]
        alone = load_file(load_run(tmp_path / f"alone{seed}").features[4, "train"])
        for name, tensor in load_file(path).items():
            torch.testing.assert_close(tensor, alone[name], rtol=1e-9, atol=1e-9)


def test_a_table_of_features_keeps_its_only_split(tmp_path: Path) -> None:
    run_training(table(record={"features": True}), tmp_path / "run")
    assert {split for _, split in load_run(tmp_path / "run").features} == {"train"}
    with pytest.raises(ConfigError, match=r"^record.features: test listed, but there are no test samples$"):
        run_training(table(record={"features": ["test"]}), tmp_path / "refused")


def test_features_that_do_not_fit_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = 24 * (8 + 4) * 8 - 1
    monkeypatch.setattr("nc_bench.training.run.Recorder", partial(Recorder, budget=budget))
    with pytest.raises(ConfigError, match=r"^record\.features: those of the train split do not fit in the .* GiB"):
        run_training(small(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert run_training(small(features=["test"]), tmp_path / "run") == "complete"
    assert math.isfinite(load_run(tmp_path / "run").rows["nc1_quotient"].iloc[-1])

"""The model that a run directory gives back is the one whose metrics the run recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import network, table, tiny_dataset, tiny_images
from torch.nn import functional as F

from nc_bench import Run, load_run
from nc_bench.config import Config
from nc_bench.data import Dataset
from nc_bench.runs import RunError
from nc_bench.runs.files import write_json
from nc_bench.training import run_ensemble, run_training

BOUNDS = {"features": {"radius": 2.0}, "head": {"radius": 1.0}, "outputs": {"radius": 1.5, "p": 3.0}}
COLOUR = tiny_images(shape=(3, 32, 32), train=12, test=3)
SHORT = {"epochs": 2, "batch_size": 6}


def patch_data(monkeypatch: pytest.MonkeyPatch, data: Dataset) -> None:
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda settings: data)


def check(run: Run, data: Dataset, *, indices: bool = False) -> None:
    """The logits of training and test samples have the risk and accuracy of the last recorded rows."""
    model = run.load_model()
    assert isinstance(model, torch.nn.Module) and not any(module.training for module in model.modules())
    last = run.rows[run.rows["epoch"] == run.rows["epoch"].max()].set_index("split")
    splits = {"train": (data.train_inputs, data.train_labels), "test": (data.test_inputs, data.test_labels)}
    for split in last.index:
        inputs, labels = splits[split]
        assert isinstance(inputs, torch.Tensor)
        with torch.no_grad():
            logits = model(torch.arange(len(labels)) if indices else inputs.to(next(model.parameters()).dtype))
        assert logits.shape == (len(labels), data.classes)
        assert float(F.cross_entropy(logits.double(), labels)) == pytest.approx(last["risk"][split], rel=1e-6)
        assert float((logits.argmax(1) == labels).double().mean()) == last["accuracy"][split]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("features", [{"radius": 2.0}, {"radius": 2.0, "set": "sphere"}])
def test_a_bounded_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, features: dict[str, Any]
) -> None:
    data = tiny_dataset()
    patch_data(monkeypatch, data)
    config = network(dtype=dtype, constraints=BOUNDS | {"features": features}, training=SHORT)
    run_training(config, tmp_path)
    run = load_run(tmp_path)
    check(run, data)
    model, inputs = run.load_model(), data.train_inputs
    assert isinstance(inputs, torch.Tensor)
    logits = model(10 * inputs.to(next(model.parameters()).dtype))
    assert float(logits.detach().norm(p=3, dim=1).max()) <= 1.5 * (1 + 1e-6), "the bound of the outputs holds"


@pytest.mark.parametrize(
    ("model", "data"),
    [
        ({"name": "resnet18", "width_multiplier": 1 / 16}, tiny_images()),
        ({"name": "torchvision:shufflenet_v2_x0_5"}, COLOUR),
        ({"name": "torchvision:mobilenet_v3_small"}, COLOUR),
    ],
    ids=["resnet18", "shufflenet", "mobilenet with dropout"],
)
def test_a_network_that_is_not_stacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: dict[str, Any], data: Dataset
) -> None:
    patch_data(monkeypatch, data)
    run_training(network(model=model, training=SHORT, constraints=BOUNDS), tmp_path)
    check(load_run(tmp_path), data)


def test_a_table_takes_indices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny_dataset()
    patch_data(monkeypatch, data)
    run_training(table(head={"bias": True}), tmp_path)
    check(load_run(tmp_path), data, indices=True)


def test_each_of_several_stacked_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny_dataset()
    patch_data(monkeypatch, data)
    configs: list[Config] = [network(seed=seed, training=SHORT) for seed in range(3)]
    run_ensemble(configs, [tmp_path / str(seed) for seed in range(3)])
    for seed in range(3):
        check(load_run(tmp_path / str(seed)), data)


def test_what_cannot_be_loaded_is_named_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patch_data(monkeypatch, tiny_dataset())
    run_training(network(training=SHORT), tmp_path)
    checkpoint = tmp_path / "checkpoint.pt"
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[:-9])
    with pytest.raises(RunError, match=r"checkpoint\.pt: cut off"):
        load_run(tmp_path).load_model()
    checkpoint.write_bytes(content)
    run = load_run(tmp_path)
    write_json(tmp_path / "manifest.json", {key: run.manifest[key] for key in run.manifest if key != "input_shape"})
    with pytest.raises(RunError, match=r"manifest\.json: no input_shape, so the model cannot be built"):
        load_run(tmp_path).load_model()
    checkpoint.unlink()
    (tmp_path / "checkpoint.before.pt").unlink()
    with pytest.raises(RunError, match=r"holds no checkpoint\.pt, so there are no weights to load$"):
        load_run(tmp_path).load_model()

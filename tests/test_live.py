"""`run_training` with a module and data of the caller: what is trained, what tells it from others, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import NETWORK, measured, settings
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from nc_bench import Run, load_run, run_training
from nc_bench.errors import RunError, UserError
from nc_bench.train import main

SMALL: dict[str, Any] = settings(NETWORK, training={"epochs": 1, "batch_size": 16}, head={"bias": True})


def net(seed: int = 0, width: int = 6, classes: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, classes))


def arrays(samples: int = 48, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(samples) % 3
    return (3 * np.eye(3, 5)[labels] + random.normal(size=(samples, 5))).astype(np.float32), labels


class Pairs(Dataset[tuple[Tensor, int]]):
    """The same samples one by one."""

    def __init__(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        self.inputs, self.labels = inputs, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.as_tensor(self.inputs[index]), int(self.labels[index])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("live") / "run"
    return run_training(SMALL, out, model=net(), data=(arrays(), arrays(12, seed=2)))


def test_a_copy_is_trained_from_the_module_s_weights(run: Run, tmp_path: Path) -> None:
    model = net()
    before = [parameter.clone() for parameter in model.parameters()]
    at_rest = run_training(SMALL, tmp_path / "run", model=model, data=(arrays(), None), **{"training.epochs": 0})
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)) and model.training
    weights = model[2].weight.detach().double()
    assert run.manifest["status"] == "complete" and run.config["model"]["name"] == "live:Sequential"
    # The constraint on the head is applied to the weights that the module starts from.
    assert at_rest.rows["head_opnorm"].iloc[0] <= min(1.0, float(torch.linalg.matrix_norm(weights, 2))) + 1e-6
    inputs = torch.as_tensor(arrays()[0])
    logits = run.load_model(net())(inputs)
    assert logits.shape == (48, 3)
    accuracy = float((logits.argmax(1).numpy() == arrays()[1]).mean())
    assert accuracy == pytest.approx(run.rows[run.rows["split"] == "train"]["accuracy"].iloc[-1])


def test_the_same_data_are_the_same_run_however_they_are_given(run: Run, tmp_path: Path) -> None:
    test = Pairs(*arrays(12, seed=2))
    inputs, labels = map(torch.as_tensor, arrays())
    for name, train in {"pairs": Pairs(*arrays()), "tensors": TensorDataset(inputs, labels)}.items():
        other = run_training(SMALL, tmp_path / name, model=net(), data=(train, test))
        assert measured(other.path) == measured(run.path)
        assert other.manifest["config_hash"] == run.manifest["config_hash"]


def test_another_model_or_other_data_are_another_run(run: Run) -> None:
    data = (arrays(), arrays(12, seed=2))
    again = run_training(SMALL, run.path, model=net(), data=data, resume=True, **{"training.epochs": 2})
    assert again.manifest["epochs_done"] == 2
    for other in ({"model": net(seed=1), "data": data}, {"model": net(), "data": (arrays(seed=3), data[1])}):
        with pytest.raises(RunError, match=r"holds another run \((model|data)\.digest: "):
            run_training(SMALL, run.path, resume=True, **other)
    assert load_run(run.path).manifest["epochs_done"] == 2


def test_a_name_without_its_object_is_said_in_one_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(run.path / "config.yaml"), "--out", str(run.path), "--resume"]) == 2
    said = capsys.readouterr().err
    assert "were handed over by Python code: give them again (data=...)" in said and said.count("\n") == 1
    with pytest.raises(UserError, match=r"give the module again \(model=...\)"):
        load_run(run.path).load_model()
    with pytest.raises(UserError, match="do not fit the model"):
        load_run(run.path).load_model(net(width=7))


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 3), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return (self.a(x) + self.b(x)) / 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": 3}, "model: should be a torch.nn.Module, not a int"),
        ({"model": net(classes=4)}, "does not end in a linear layer with an output for each class"),
        ({"model": TwoHeads()}, "average of 2 heads"),
        ({"model": nn.Sequential(nn.Linear(7, 3))}, "does not take samples of 5"),
        ({"data": arrays()[0]}, "should return the pair \\(train, test\\)"),
        ({"data": ((arrays()[0], arrays()[1][:3]), None)}, "48 inputs but 3 labels"),
        ({"data": ((arrays()[0], arrays()[1] * 1.0), None)}, "labels should be one row of whole numbers"),
        ({"data": ((arrays()[0], arrays()[1] - 1), None)}, "labels should be 0, 1, .., but one is -1"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said) as refused:
        run_training(SMALL, tmp_path / "run", **{"model": net(), "data": (arrays(), None), **given})
    assert "\n" not in str(refused.value) and not (tmp_path / "run").exists()

"""Models of the user's own: cut at their head, which they keep; started from files; refused in one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from plugin_files import Written
from small_runs import measured, network
from torch import Tensor, nn

from nc_bench import load_run
from nc_bench.config import Config, ConfigError, config_hash
from nc_bench.models import Classifier, build_classifier
from nc_bench.models.weights import load_starting_weights
from nc_bench.plugins import PluginError
from nc_bench.training import run_training

NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, input_shape, width=8, bias=True, extra=False):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(input_shape).numel(), width), nn.ReLU())
        self.norm = nn.BatchNorm1d(width)
        self.out = nn.Linear(width, classes, bias=bias)
        if extra:
            self.idle = nn.Linear(3, 3)

    def forward(self, x):
        return self.out(self.norm(self.body(x)))

def number(): return 3
def half(classes): return Net(classes + 1, (5,))
def wrong_shape(classes): return Net(classes, (7,))
def softened(classes): return nn.Sequential(Net(classes, (5,)), nn.Softmax(-1))
def alone(classes): return nn.Linear(5, classes)
def pair(classes):
    class Pair(Net):
        def forward(self, x): return super().forward(x), x
    return Pair(classes, (5,))
def doubles(classes): return Net(classes, (5,)).double()
"""


def own(path: str, **settings: Any) -> Config:
    model = {"name": path, **settings}
    return network(model=model, head={"bias": True}, constraints={"features": None, "head": None})


def build(config: Config, *shape: int) -> Classifier:
    return build_classifier([config], input_shape=shape or (5,), samples=7, classes=3)


def test_the_module_with_its_own_head_is_the_classifier(plugin: Written) -> None:
    path = plugin(NETS)
    model = build(own(f"{path}:Net", arguments={"width": 4}), 1, 2, 3).eval()
    assert (model.width, model.head_name, model.uses_batch_statistics) == (4, "out", True)
    assert model.backbone.module.body[1].in_features == 6
    again = build(own(f"{path}:Net", arguments={"width": 4}), 1, 2, 3)
    assert all(map(torch.equal, model.state_dict().values(), again.state_dict().values()))
    x = torch.randn(1, 5, 1, 2, 3)
    assert model(x).shape == (1, 5, 3)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("number", r"should return a torch\.nn\.Module, not a int"),
        ("half", "does not end in a linear layer with an output for each class"),
        ("wrong_shape", r"does not take samples of 5: .*shapes cannot be multiplied"),
        ("softened", "does not end in a linear layer with an output for each class"),
        ("alone", "is a linear layer alone, without a backbone before it"),
        ("pair", "returns not one tensor of logits but a tuple"),
        ("doubles", "does not take samples of 5: .*dtype"),
    ],
)
def test_models_that_cannot_be_used(plugin: Written, name: str, problem: str) -> None:
    path = plugin(NETS)
    with pytest.raises((PluginError, ConfigError), match=rf"^model\.name: {path}:{name}:? {problem}") as caught:
        build(own(f"{path}:{name}"))
    assert "\n" not in str(caught.value)


def test_arguments_idle_parameters_and_a_bias_that_is_not_there(plugin: Written) -> None:
    path = plugin(NETS)
    with pytest.raises(PluginError, match=r"^model\.arguments\.widht: .*did you mean 'width'"):
        build(own(f"{path}:Net", arguments={"widht": 3}))
    with pytest.raises(ConfigError, match=r"has parameters that do not act on its output: idle\.weight"):
        build(own(f"{path}:Net", arguments={"extra": True}))
    with pytest.raises(ConfigError, match=r"^head\.bias: true, but the head of import:.*:Net has none"):
        build(own(f"{path}:Net", arguments={"bias": False}))
    with pytest.raises(PluginError, match=r":Net: RuntimeError: .*negative dimension.*\(.*\.py, line \d+\)"):
        build(own(f"{path}:Net", arguments={"width": -1}))


class Plain(nn.Module):
    """The same as Net above, as a training script would have it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(5, 8), nn.ReLU())
        self.norm = nn.BatchNorm1d(8)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.out(self.norm(self.body(x)))
        return logits


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_of_a_file(plugin: Written, tmp_path: Path, prefix: str, suffix: str) -> None:
    from safetensors.torch import save_file

    trained, file = Plain().eval(), tmp_path / f"weights{suffix}"
    trained.norm.running_mean.fill_(0.5)
    state = {prefix + name: tensor for name, tensor in trained.state_dict().items()}
    save_file(state, file) if suffix == ".safetensors" else torch.save({"epoch": 3, "state_dict": state}, file)
    config = own(plugin(NETS) + ":Net", weights=str(file))
    model = build(config).eval()
    assert load_starting_weights(model, config, (5,))
    x = torch.randn(4, 5)
    torch.testing.assert_close(model(x[None])[0], trained(x))
    moved = file.rename(tmp_path / f"moved{suffix}")
    assert config_hash(config) == config_hash(own(config.model.name, weights=str(moved)))
    assert config_hash(config) != config_hash(own(config.model.name))


def test_weights_that_do_not_fit(plugin: Written, tmp_path: Path) -> None:
    path = plugin(NETS) + ":Net"

    def refused(content: Any, message: str, name: str = "weights.pt") -> None:
        file = tmp_path / name
        file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
        config = own(path, weights=str(file))
        with pytest.raises(ConfigError, match=message) as caught:
            load_starting_weights(build(config), config, (5,))
        assert "\n" not in str(caught.value) and str(file) in str(caught.value)

    state = Plain().state_dict()
    without = {name: tensor for name, tensor in state.items() if not name.startswith("norm.")}
    missing = r"is missing norm\.weight, norm\.bias, norm\.running_mean and norm\.running_var"
    refused(
        {**without, "fc.bias": torch.ones(2)}, rf"^model\.weights: .*{missing}; holds fc\.bias, which the model does"
    )
    refused({**state, "out.weight": torch.ones(7, 8)}, r"out\.weight is \(7, 8\) there and \(3, 8\) in the model")
    refused(Plain(), r"holds Python objects that would run code, and is not loaded; save model\.state_dict\(\)")
    refused({"a": 1}, r"its entry 'a' is no tensor, so it is no state dict")
    refused([1, 2], r"holds a list, not the tensors of a state dict")
    refused(b"PK\x03\x04 cut", "cannot be read as a state dict")
    refused(b"short", "cannot be read as a state dict", "weights.safetensors")
    with pytest.raises(ValueError, match=r"weights: .*there is no such file"):
        own(path, weights=str(tmp_path / "nothing.pt"))
    torch.save(state, tmp_path / "weights.pt")
    config = own(path, weights=str(tmp_path / "weights.pt"))
    torch.save(Plain().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ConfigError, match=r"has changed \(its digest is [0-9a-f]{16}, and [0-9a-f]{16} stated\)"):
        load_starting_weights(build(config), config, (5,))


def test_without_the_head_in_the_file_the_head_is_new(plugin: Written, tmp_path: Path) -> None:
    trained = Plain()
    torch.save({k: v for k, v in trained.state_dict().items() if not k.startswith("out")}, tmp_path / "body.pth")
    config = own(plugin(NETS) + ":Net", weights=str(tmp_path / "body.pth"))
    model, fresh = build(config), build(config)
    assert load_starting_weights(model, config, (5,))
    assert torch.equal(model.head.weight, fresh.head.weight)
    assert torch.equal(model.backbone.module.body[1].weight, trained.body[1].weight)


def test_a_run_starts_from_the_file_and_is_read_without_it(plugin: Written, tmp_path: Path) -> None:
    path = plugin(NETS) + ":Net"
    torch.manual_seed(1)
    trained = nn.Module()
    trained.body, trained.norm, trained.out = (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 8)),
        nn.BatchNorm1d(8),
        nn.Linear(8, 10),
    )
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    config = network(
        model={"name": path, "weights": str(tmp_path / "weights.pt")},
        head={"bias": True},
        constraints={"features": None, "head": None},
        training={"epochs": 0, "batch_size": None},
    )
    assert run_training(config, tmp_path / "run") == "complete"
    (tmp_path / "weights.pt").unlink()
    run = load_run(tmp_path / "run")
    assert torch.equal(run.load_model().classifier.head.weight[0], trained.out.weight)
    assert run.config["model"]["weights_digest"] == config.model.weights_digest
    assert len(measured(tmp_path / "run")) == 3 and re.fullmatch("[0-9a-f]{16}", str(config.model.weights_digest))

"""Pretrained weights through the libraries' own functions, from a folder that stands for their cache; no network."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import network
from torch import nn

from nc_bench.config import Config, ConfigError
from nc_bench.models import Classifier, build_classifier
from nc_bench.models.weights import load_starting_weights
from nc_bench.vision import torchvision

SHAPE = (3, 32, 32)


def external(name: str, **model: Any) -> Config:
    constraints = {"features": None, "head": None}
    return network(model={"name": name, **model}, head={"bias": True}, constraints=constraints)


def started(config: Config, classes: int = 4) -> Classifier:
    """The classifier, given its starting weights."""
    model = build_classifier([config], input_shape=SHAPE, samples=7, classes=classes)
    assert load_starting_weights(model, config, SHAPE)
    return model


def refusal(config: Config) -> str:
    with pytest.raises(ConfigError) as caught:
        started(config)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache of torch's, and no network to fill it from."""

    def closed(*_: Any, **__: Any) -> Any:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", closed)
    monkeypatch.setattr("torch.hub.urlopen", closed)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path


def test_weights_of_torchvision_come_from_its_cache(no_network: Path) -> None:
    config = external("torchvision:shufflenet_v2_x0_5", pretrained=True)
    said = refusal(config)
    assert said.startswith("model.pretrained: the weights of torchvision:shufflenet_v2_x0_5 cannot be had: ")
    assert "no network" in said and "model.weights" in said
    known: Any = torchvision.models.ShuffleNet_V2_X0_5_Weights.DEFAULT
    kept = torchvision.models.shufflenet_v2_x0_5(weights=None)
    file = no_network / "hub/checkpoints" / known.url.rpartition("/")[2]
    file.parent.mkdir(parents=True, exist_ok=True)  # what could not be had may have left it
    torch.save(kept.state_dict(), file)
    model = started(config)
    assert torch.equal(model.backbone.module.conv1[0].weight, kept.conv1[0].weight)
    assert model.head.weight.shape == (1, 4, 1024)  # theirs has 1,000 classes
    whole = started(config, classes=1000)
    assert torch.equal(whole.head.weight[0], kept.fc.weight)


def put_in_cache(folder: Path, repository: str, model: nn.Module) -> None:
    """Weights as huggingface_hub keeps what it downloaded."""
    from safetensors.torch import save_file

    place = folder / f"models--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0" * 40)
    save_file(model.state_dict(), snapshot / "model.safetensors")


@pytest.mark.slow  # 6 s, most of it the import of timm
@pytest.mark.filterwarnings("ignore")  # of timm
def test_the_tag_in_a_name_of_timm_says_which_weights(no_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nc_bench.vision import timm

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(no_network))
    said = refusal(external("timm:resnet18.a1_in1k", pretrained=True))
    assert said.startswith("model.pretrained: the weights of timm:resnet18.a1_in1k cannot be had: ")
    torch.manual_seed(0)
    kept = {tag: timm().create_model("resnet18") for tag in ("a1_in1k", "a2_in1k")}
    for tag, model in kept.items():
        put_in_cache(no_network, f"timm/resnet18.{tag}", model)
    for tag, model in kept.items():
        found = started(external(f"timm:resnet18.{tag}", pretrained=True), classes=1000)
        assert torch.equal(found.backbone.module.conv1.weight, model.conv1.weight), tag
        assert torch.equal(found.head.weight[0], model.fc.weight), tag
    assert not torch.equal(kept["a1_in1k"].conv1.weight, kept["a2_in1k"].conv1.weight)
    said = refusal(external("timm:resnet18.nosuch", pretrained=True))
    assert "Invalid pretrained tag (nosuch) for resnet18" in said


def test_a_tag_without_pretrained_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.name: timm:resnet18\.a1_in1k names the pretrained weights a1_in1k; "):
        external("timm:resnet18.a1_in1k")


@pytest.mark.slow  # 3 s, the import of timm
@pytest.mark.filterwarnings("ignore")  # of timm
def test_arguments_go_to_the_library() -> None:
    name = "timm:vit_tiny_patch16_224"
    small = build_classifier([external(name, arguments={"img_size": 32})], input_shape=SHAPE, samples=7, classes=4)
    assert small.backbone.module.pos_embed.shape == (1, 1 + 2 * 2, 192)
    for arguments, words in (
        ({}, "does not take images of 3 x 32 x 32: Input height (32) doesn't match model (224)"),
        ({"img_sise": 32}, "unexpected keyword argument 'img_sise'"),
        ({"num_classes": 3}, "multiple values for keyword argument 'num_classes'"),
    ):
        said = refusal(external(name, arguments=arguments))
        assert said.startswith(f"model.name: {name} ") and words in said

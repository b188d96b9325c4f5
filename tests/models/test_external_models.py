"""Models of torchvision and timm: without their head, equal to the whole; refused in one line without such a head."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from small_runs import network
from torch import Tensor, nn

from nc_bench import FeatureTap
from nc_bench.config import Config, ConfigError
from nc_bench.models import Classifier, build_classifier
from nc_bench.models.external import external_model
from nc_bench.rng import Stream, global_stream
from nc_bench.vision import torchvision

FREE = {"features": None, "head": None}


def external(name: str, constraints: dict[str, Any] = FREE) -> Config:
    return network(model={"name": name}, head={"bias": True}, constraints=constraints)


def build(config: Config, shape: tuple[int, ...] = (3, 32, 32), classes: int = 4) -> Classifier:
    return build_classifier([config], input_shape=shape, samples=7, classes=classes)


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    ("name", "head", "width"),
    [("resnet18", "fc", 512), ("mobilenet_v3_small", "classifier.3", 1024), ("shufflenet_v2_x0_5", "fc", 1024)],
)
def test_the_external_model_under_its_own_head_is_the_whole_model(name: str, head: str, width: int) -> None:
    model = build(external(f"torchvision:{name}")).eval()
    with global_stream(0, Stream.INITIALISATION, 1):
        whole = torchvision.models.get_model(name, weights=None, num_classes=4).eval()
    own = whole.get_submodule(head)
    x = images(3, 3, 32, 32)
    with torch.no_grad(), FeatureTap(model) as tap:
        model(x[None])
        assert tap.features.shape == (1, 3, width) and model.width == width
        torch.testing.assert_close(own(tap.features[0]), whole(x), rtol=1e-5, atol=1e-6)
    mine = model.backbone.module.state_dict()
    # Not one number of the fresh model was moved by looking for its head.
    assert all(torch.equal(mine[key], value) for key, value in whole.state_dict().items() if not key.startswith(head))


def test_models_that_draw_in_training_are_known() -> None:
    assert build(external("torchvision:mobilenet_v3_small")).stochastic
    assert not build(external("torchvision:shufflenet_v2_x0_5")).stochastic


def test_images_of_another_number_of_channels() -> None:
    model = build(external("torchvision:resnet18"), (1, 32, 32))
    first = model.backbone.module.conv1
    assert (first.in_channels, first.out_channels, first.kernel_size, first.stride) == (1, 64, (7, 7), (2, 2))
    assert first.bias is None and model(images(1, 2, 1, 32, 32)).shape == (1, 2, 4)


def test_the_ball_is_the_end_of_the_backbone() -> None:
    model = build(external("torchvision:resnet18", {"features": {"radius": 0.5}}))
    norms = model.backbone(images(1, 3, 3, 32, 32)).detach().norm(dim=-1)
    torch.testing.assert_close(norms, torch.full_like(norms, 0.5))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision:squeezenet1_1", "does not end in a linear layer with an output for each class"),
        ("torchvision:googlenet", "returns not one tensor of logits but a GoogLeNetOutputs"),
        ("torchvision:nosuch", "cannot be built: torchvision.models has no classifier called nosuch"),
        ("torchvision:fcn_resnet50", "has no classifier called fcn_resnet50"),
        ("torchvision:vit_b_16", "does not take images of 3 x 32 x 32: Wrong image height! Expected 224 but got 32!"),
    ],
)
def test_models_that_are_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(external(name))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"model.name: {name} ") and message in line


class Made(nn.Module):
    """Of two linear layers, put together in one of several ways."""

    def __init__(self, kind: str, classes: int, channels: int) -> None:
        super().__init__()
        self.kind = kind
        self.inner, self.head = nn.Linear(4 * channels, 6), nn.Linear(6, classes)
        self.other = nn.Linear(6, classes) if kind == "averaged" else nn.Identity()
        if kind == "convolution":
            self.head = nn.Conv2d(6, classes, 1)  # type: ignore[assignment]
        self.idle = nn.Linear(2, 2) if kind == "idle" else None

    def forward(self, x: Tensor) -> Any:
        features = self.inner(x.flatten(1)).relu()
        match self.kind:
            case "scaled":
                return 2 * self.head(features)
            case "tuple":
                return self.head(features), features
            case "skip":
                # Its own linear layer is not the last thing that acts on the head's input.
                return self.head(features) if isinstance(self.head, nn.Linear) else features + 1
            case "averaged":
                return (self.head(features) + self.other(features)) / 2
            case "convolution":
                return self.head(features[..., None, None]).flatten(1)
            case "tokens":
                return self.head(features[:, None])
        return self.head(features)


@pytest.fixture
def made_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, *, pretrained: bool, num_classes: int, in_chans: int) -> nn.Module:
        assert not pretrained
        if name == "nosuch":
            raise RuntimeError("Unknown model (nosuch)")
        return Made(name, num_classes, in_chans)

    timm = ModuleType("timm")
    timm.create_model = create_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", timm)


@pytest.mark.usefixtures("made_timm")
@pytest.mark.parametrize("kind", ["plain", "convolution"])
def test_a_model_of_timm(kind: str) -> None:
    model = build(external(f"timm:{kind}"), (5, 2, 2))
    assert model.width == 6 and isinstance(model.backbone.module.head, nn.Identity)
    x = images(1, 3, 5, 2, 2)
    expected = model.backbone.module.inner(x[0].flatten(1)).relu()
    assert torch.equal(model.backbone(x)[0], expected)


@pytest.mark.usefixtures("made_timm")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("scaled", "does not end in a linear layer"),
        ("tokens", "does not end in a linear layer"),
        ("averaged", "features: the model's output is the average of 2 heads, 'head' and 'other'"),
        ("tuple", "returns not one tensor of logits but a tuple"),
        ("skip", "without its linear layer head does not return its input"),
        ("idle", "has parameters that do not act on its output: idle.weight"),
        ("nosuch", "cannot be built: Unknown model (nosuch)"),
    ],
)
def test_models_of_timm_that_are_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^model\.name: timm:{name} ") as caught:
        build(external(f"timm:{name}"), (5, 2, 2))
    assert message in str(caught.value)


def test_timm_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    message = r"^model\.name: timm:resnet18 needs timm, which is not installed: pip install 'nc_bench\[timm\]'$"
    with pytest.raises(ConfigError, match=message):
        build(external("timm:resnet18"))


def test_a_missing_module_that_is_not_timm_is_no_problem_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise ModuleNotFoundError("No module named 'other'", name="other")

    monkeypatch.setattr("nc_bench.vision.timm", lambda: SimpleNamespace(create_model=lambda *a, **k: broken()))
    with pytest.raises(ModuleNotFoundError, match="other"):
        external_model(external("timm:x").model, (3, 4, 4), 3)

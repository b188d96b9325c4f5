"""Residual networks: torchvision's own function, as an ensemble of one, from the run's own random stream."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_runs import network
from torch import Tensor, nn

from nc_bench import FeatureTap
from nc_bench.config import Config, ConfigError
from nc_bench.models import Classifier, build_classifier
from nc_bench.vision import torchvision

FREE = {"features": None, "head": None}
SMALL = (2, 8, 8)


def resnet(name: str = "resnet18", *, seed: int = 0, constraints: dict[str, Any] = FREE, **model: Any) -> Config:
    return network(seed=seed, model={"name": name, **model}, head={"bias": True}, constraints=constraints)


def build(config: Config, shape: tuple[int, ...] = SMALL, classes: int = 4) -> Classifier:
    return build_classifier([config], input_shape=shape, samples=7, classes=classes)


def images(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_it_is_torchvisions_network(name: str) -> None:
    ours = build(resnet(name, stem="imagenet"), (3, 32, 32)).double()
    theirs = torchvision.models.get_model(name, weights=None, num_classes=4).double()
    named = zip(theirs.state_dict(), ours.backbone.module.state_dict().values(), strict=False)
    theirs.load_state_dict(dict(named), strict=False)
    with torch.no_grad():
        theirs.fc.weight.copy_(ours.head.weight[0])
        theirs.fc.bias.copy_(ours.head.bias[0])
    x = images(3, 3, 32, 32)
    for mode in (True, False):
        ours.train(mode)
        theirs.train(mode)
        mine, expected = ours(x[None])[0], theirs(x)
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-12)
    for owner, outputs in ((ours, mine), (theirs, expected)):
        nn.functional.cross_entropy(outputs, torch.arange(3)).backward()
        assert all(parameter.grad is not None for parameter in owner.parameters())
    for mine, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad.view_as(expected), expected.grad, rtol=0, atol=1e-12)
    for mine, expected in zip(ours.backbone.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-13)


def test_the_small_stem_keeps_the_resolution() -> None:
    stages = build(resnet(width_multiplier=1 / 16)).backbone.module
    assert [name for name, _ in stages.named_children()] == ["stem", "layer1", "layer2", "layer3", "layer4", "pool"]
    shapes, x = [], images(3, *SMALL).float()
    for stage in stages:
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(4, 8, 8), (4, 8, 8), (8, 4, 4), (16, 2, 2), (32, 1, 1), (32,)]


@pytest.mark.parametrize(
    ("name", "factor", "width"), [("resnet18", 1.0, 512), ("resnet34", 0.25, 128), ("resnet50", 0.1, 204)]
)
def test_the_width_of_the_features(name: str, factor: float, width: int) -> None:
    model = build(resnet(name, width_multiplier=factor))
    assert model.width == model.head.weight.shape[-1] == width
    assert model.backbone(images(1, 3, *SMALL).float()).shape == (1, 3, width)


def test_convolutions_start_as_torchvisions_do() -> None:
    """Normal, of variance 2 / fan out (He et al. 2015)."""
    weight = build(resnet()).get_parameter("backbone.module.layer3.0.conv2.weight").detach()
    assert float(weight.std()) == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.01)


def test_the_start_is_the_seeds_and_the_global_generator_is_left_alone() -> None:
    config = resnet(width_multiplier=1 / 16)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build(config)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = build(config), build(resnet(seed=1, width_multiplier=1 / 16))
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    for name in ("head.weight", "backbone.module.stem.0.weight", "backbone.module.layer4.1.conv2.weight"):
        assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


@pytest.mark.parametrize("p", [2.0, 3.0])
def test_features_and_outputs_stay_in_their_balls(p: float) -> None:
    constraints = {"features": {"radius": 0.05, "p": p}, "outputs": {"radius": 0.02, "p": p}}
    model = build(resnet(width_multiplier=1 / 16, constraints=constraints))
    features = model.backbone(images(1, 9, *SMALL).float())
    for rows, radius in ((features, 0.05), (model.outputs(features), 0.02)):
        norms = rows.detach().double().abs().pow(p).sum(-1).pow(1 / p)
        assert float(norms.max()) == pytest.approx(radius, rel=1e-6)
    assert bool((features >= 0).all())


def test_the_tap_finds_the_penultimate_features() -> None:
    model = build(resnet(width_multiplier=1 / 16)).eval()
    x = images(1, 5, *SMALL).float()
    with torch.no_grad(), FeatureTap(model) as tap:
        model(x)
        assert tap.tapped is model.head
        assert torch.equal(tap.features, model.backbone(x))


def test_it_takes_images_only_and_is_not_stacked() -> None:
    config = resnet(width_multiplier=1 / 16)
    message = r"^model\.name: resnet18 takes images, but a sample of data\.name: digits is 64 numbers, not channels x "
    with pytest.raises(ConfigError, match=message):
        build(config, (64,))
    assert config.model.not_stacked and not network().model.not_stacked
    with pytest.raises(AssertionError, match="resnet18 is not stacked"):
        build_classifier([config, config], input_shape=SMALL, samples=7, classes=4)


def test_a_simplex_head_needs_room() -> None:
    config = network(model={"name": "resnet18", "width_multiplier": 0.001}, head={"init": "simplex"})
    assert build(config, classes=2).width == 1
    with pytest.raises(ConfigError, match=r"^head\.init: a simplex of 5 classes needs features of width at least 4, "):
        build(config, classes=5)

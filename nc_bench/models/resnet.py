"""Residual networks for small and large images, as a sequence of named stages."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import nn

from nc_bench.config import ResNet
from nc_bench.models.backbones import HeadlessModel

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
"""Blocks in each of the four stages (He, Zhang, Ren & Sun 2016, Table 1)."""


def resnet(config: ResNet, channels: int) -> HeadlessModel:
    """Images (n, channels, h, w) -> features (n, d): stem, layer1 to layer4, pool; initialised as torchvision does.

    With the stem for ImageNet and a multiplier of 1 it is torchvision's network of this name without its `fc`
    (tested equal). The small stem is the one that He et al. (2016, section 4.2) and Papyan, Han & Donoho (2020) take
    for small images: a 3x3 convolution of stride 1, and no max-pooling. d = 512 x multiplier x expansion, which is 4
    for resnet50 and 1 otherwise. Random numbers come from torch's global generator.
    """
    # Slow to import, and a fully connected network does without.
    from nc_bench.vision import torchvision

    blocks = torchvision.models.resnet
    block = blocks.Bottleneck if config.has_bottlenecks else blocks.BasicBlock
    inside = config.channels
    stages: dict[str, nn.Module] = {"stem": _stem(config.stem, channels, inside[0])}
    before = inside[0]
    for index, (width, depth) in enumerate(zip(inside, DEPTHS[config.name], strict=True)):
        stages[f"layer{index + 1}"] = _stage(block, before, width, depth, stride=1 if index == 0 else 2)
        before = width * block.expansion
    stages["pool"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = nn.Sequential(OrderedDict(stages))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return HeadlessModel(module=network, width=config.features_width)


def _stem(kind: str, channels: int, width: int) -> nn.Sequential:
    small = kind == "small"
    convolution = nn.Conv2d(
        channels, width, 3 if small else 7, stride=1 if small else 2, padding=1 if small else 3, bias=False
    )
    layers: list[nn.Module] = [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    if not small:
        layers.append(nn.MaxPool2d(kernel_size=3, stride=2, padding=1))
    return nn.Sequential(*layers)


def _stage(block: Any, before: int, width: int, depth: int, stride: int) -> nn.Sequential:
    """Blocks of one width; the first changes the number of channels and the resolution, by a 1x1 convolution."""
    after = width * block.expansion
    shortcut = None
    if stride != 1 or before != after:
        shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))
    first = block(before, width, stride, shortcut)
    return nn.Sequential(first, *(block(after, width) for _ in range(depth - 1)))

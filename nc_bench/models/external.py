"""Models of torchvision and timm: built untrained, checked, and their last linear layer removed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from torch import nn

from nc_bench.config import ConfigError, ExternalModel
from nc_bench.models.backbones import HeadlessModel
from nc_bench.models.headless import replace_module, without_head
from nc_bench.text import one_line


def external_model(config: ExternalModel, image: Sequence[int], classes: int) -> HeadlessModel:
    """The model without its head, (n, *image) -> features (n, d).

    Random numbers come from torch's global generator. The head is a new one, which the configuration describes.
    Raises ConfigError, one line that names model.name: the library is not installed or has no such model, and as
    `without_head` does.
    """
    headless = without_head(library_model(config, image[0], classes), config.name, image, classes)
    return dataclasses.replace(headless, head_weight=None, head_bias=None)


def library_model(config: ExternalModel, channels: int, classes: int, *, pretrained: bool = False) -> nn.Module:
    """The model as its library builds it, with `model.arguments`; pretrained: with the weights that the name means.

    Pretrained models of torchvision keep their own number of classes.
    """
    library, _, name = config.name.partition(":")
    arguments = {**config.arguments, **({"pretrained": True} if pretrained else {})}
    try:
        build = _timm if library == "timm" else _torchvision
        return build(name, channels, classes, **arguments)
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise ConfigError(
            f"model.name: {config.name} needs timm, which is not installed: pip install 'nc_bench[timm]'"
        ) from None
    except (ValueError, RuntimeError, TypeError) as error:
        raise ConfigError(f"model.name: {config.name} cannot be built: {one_line(error)}") from None


def _torchvision(name: str, channels: int, classes: int, *, pretrained: bool = False, **arguments: Any) -> nn.Module:
    from nc_bench.vision import torchvision

    if name not in torchvision.models.list_models(module=torchvision.models):
        raise ValueError(f"torchvision.models has no classifier called {name}")
    # Stated, because these two warn otherwise that the default of their initialisation will change.
    own = {"init_weights": True} if name in ("inception_v3", "googlenet") else {}
    if pretrained:
        trained: nn.Module = torchvision.models.get_model(name, weights="DEFAULT", **arguments)
        return trained
    model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes, **own, **arguments)
    if channels != 3:
        _adapt_first_convolution(model, channels)
    return model


def _timm(name: str, channels: int, classes: int, *, pretrained: bool = False, **arguments: Any) -> nn.Module:
    from nc_bench.vision import timm

    sizes = {"num_classes": classes, "in_chans": channels}
    model: nn.Module = timm().create_model(name, pretrained=pretrained, **sizes, **arguments)
    return model


def _adapt_first_convolution(model: nn.Module, channels: int) -> None:
    """Put a convolution for images of so many channels in the place of the first one, initialised as torch does."""
    name, old = next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    sizes: dict[str, Any] = {
        key: getattr(old, key) for key in ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    }
    replace_module(model, name, nn.Conv2d(channels, old.out_channels, bias=old.bias is not None, **sizes))

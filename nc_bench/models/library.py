"""Models of torchvision and timm: built untrained, checked, and cut before their last linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nc_bench.config import ConfigError, Library
from nc_bench.text import one_line

PROBE = 2
"""Images in the forward pass that looks for the head: the fewest that batch norm takes where a map is one pixel."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A model without its head, images -> features (n, d); and whether it draws random numbers in training."""

    module: nn.Module
    width: int
    stochastic: bool


def library_backbone(config: Library, image: Sequence[int], classes: int) -> Cut:
    """The model without its head, (n, *image) -> features (n, d).

    The head is the linear layer whose output is the model's output, found in a forward pass; an identity takes its
    place, and what the cut model returns is verified to be what the head was given. Random numbers come from torch's
    global generator. In training the features may pass a dropout that the library puts before the head.
    Raises ConfigError, one line that names model.name: the library is not installed or has no such model, the model
    does not take such images, returns no single tensor, ends in no linear layer, or has parameters that do not act.
    """
    model = _built(config, image[0], classes)
    images = torch.randn(PROBE, *image)
    fresh = {name: buffer.clone() for name, buffer in model.named_buffers()}
    head = _head(config, model, images, classes)
    _replace(model, head.name, nn.Identity())
    with torch.no_grad():
        cut = _forward(config, model.eval(), images)
    if not isinstance(cut, Tensor) or not torch.equal(cut, head.given):
        raise ConfigError(f"model.name: {config.name} without its linear layer {head.name} does not return its input")
    before = torch.get_rng_state()
    _check_gradients(config, model.train(), images)
    stochastic = not torch.equal(before, torch.get_rng_state())
    for name, buffer in model.named_buffers():
        buffer.copy_(fresh[name])
    return Cut(module=model, width=head.given.shape[-1], stochastic=stochastic)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A linear layer: its dotted name, what it was given and what it returned."""

    name: str
    layer: nn.Linear
    given: Tensor
    returned: Tensor


def _built(config: Library, channels: int, classes: int) -> nn.Module:
    library, _, name = config.name.partition(":")
    try:
        return _timm(name, channels, classes) if library == "timm" else _torchvision(name, channels, classes)
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise ConfigError(
            f"model.name: {config.name} needs timm, which is not installed: pip install 'nc_bench[timm]'"
        ) from None
    except (ValueError, RuntimeError, TypeError) as error:
        raise ConfigError(f"model.name: {config.name} cannot be built: {one_line(error)}") from None


def _torchvision(name: str, channels: int, classes: int) -> nn.Module:
    from nc_bench.vision import torchvision

    if name not in torchvision.models.list_models(module=torchvision.models):
        raise ValueError(f"torchvision.models has no classifier called {name}")
    # Asked for, lest two of them warn that the default of their own initialisation will change.
    own = {"init_weights": True} if name in ("inception_v3", "googlenet") else {}
    model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes, **own)
    if channels != 3:
        _adapt_first_convolution(model, channels)
    return model


def _timm(name: str, channels: int, classes: int) -> nn.Module:
    from nc_bench.vision import timm

    model: nn.Module = timm().create_model(name, pretrained=False, num_classes=classes, in_chans=channels)
    return model


def _adapt_first_convolution(model: nn.Module, channels: int) -> None:
    """Put a convolution for images of so many channels in the place of the first one, initialised as torch does."""
    name, old = next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    sizes: dict[str, Any] = {
        key: getattr(old, key) for key in ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    }
    _replace(model, name, nn.Conv2d(channels, old.out_channels, bias=old.bias is not None, **sizes))


def _head(config: Library, model: nn.Module, images: Tensor, classes: int) -> _Found:
    """The linear layer that the model ends in, in evaluation and in training."""
    found: list[_Found] = []

    def notice(name: str, layer: nn.Linear, given: tuple[Tensor, ...], returned: Tensor) -> None:
        found.append(_Found(name=name, layer=layer, given=given[0], returned=returned))

    handles = [
        module.register_forward_hook(lambda layer, given, returned, name=name: notice(name, layer, given, returned))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        with torch.no_grad():
            model.train()
            trained = _forward(config, model, images)
            found.clear()
            model.eval()
            output = _forward(config, model, images)
    finally:
        for handle in handles:
            handle.remove()
    for returned in (trained, output):
        if not isinstance(returned, Tensor):
            kind = type(returned).__name__
            raise ConfigError(f"model.name: {config.name} returns not one tensor of logits but a {kind}")
    heads = [layer for layer in found if layer.returned is output]
    uses = [layer for layer in found if heads and layer.layer is heads[0].layer]
    if len(uses) != 1 or output.shape != (PROBE, classes) or heads[0].given.ndim != 2:
        raise ConfigError(
            f"model.name: {config.name} does not end in a linear layer with an output for each class, so it has no "
            "penultimate features"
        )
    return heads[0]


def _forward(config: Library, model: nn.Module, images: Tensor) -> Any:
    try:
        return model(images)
    except (RuntimeError, ValueError, AssertionError) as error:
        size = " x ".join(str(length) for length in images.shape[1:])
        raise ConfigError(f"model.name: {config.name} does not take images of {size}: {one_line(error)}") from None


def _check_gradients(config: Library, model: nn.Module, images: Tensor) -> None:
    """An optimizer moves every parameter: none may be without a gradient in training."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    features = _forward(config, model, images)
    gradients = torch.autograd.grad(features.sum(), [parameter for _, parameter in named], allow_unused=True)
    idle = [name for (name, _), gradient in zip(named, gradients, strict=True) if gradient is None]
    if idle:
        raise ConfigError(f"model.name: {config.name} has parameters that do not act on its output: {idle[0]}")


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)

"""Models of torchvision and timm: built untrained, checked, and their last linear layer removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nc_bench.config import ConfigError, ExternalModel
from nc_bench.errors import UserError
from nc_bench.models.backbones import HeadlessModel
from nc_bench.models.heads import FoundHead, find_head, head_rows
from nc_bench.text import one_line

PROBE = 2
"""Images in the forward pass that looks for the head. Two, because batch norm refuses one where a map is one pixel."""


def external_model(config: ExternalModel, image: Sequence[int], classes: int) -> HeadlessModel:
    """The model without its head, (n, *image) -> features (n, d).

    The head is the linear layer (or convolution of one pixel) whose output is the model's output, found in a forward
    pass; an identity takes its place, and the output of this headless model is verified to be the input of the head.
    Random numbers come from torch's global generator. In training the features may pass a dropout that the library puts
    before the head.
    Raises ConfigError, one line that names model.name: the library is not installed or has no such model, the model
    does not take such images, returns no single tensor, ends in no linear layer, or has parameters that do not act.
    """
    model = _built(config, image[0], classes)
    images = torch.randn(PROBE, *image)
    fresh = {name: buffer.clone() for name, buffer in model.named_buffers()}
    head, inputs = _head(config, model, images, classes)
    _replace(model, head.name, nn.Identity())
    with torch.no_grad():
        features = _forward(config, model.eval(), images)
    if not isinstance(features, Tensor) or not torch.equal(features, inputs):
        raise ConfigError(f"model.name: {config.name} without its linear layer {head.name} does not return its input")
    before = torch.get_rng_state()
    _check_gradients(config, model.train(), images)
    stochastic = not torch.equal(before, torch.get_rng_state())
    for name, buffer in model.named_buffers():
        buffer.copy_(fresh[name])
    return HeadlessModel(module=model, width=inputs.shape[-1], stochastic=stochastic)


def _built(config: ExternalModel, channels: int, classes: int) -> nn.Module:
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
    # Stated, because these two warn otherwise that the default of their initialisation will change.
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


def _head(config: ExternalModel, model: nn.Module, images: Tensor, classes: int) -> tuple[FoundHead, Tensor]:
    """The layer that the model ends in, and its input: a row of features for each image, in evaluation."""
    seen: list[Tensor] = []
    with torch.no_grad():
        in_training = _forward(config, model.train(), images)
        logits = _forward(config, model.eval(), images)
        for output in (in_training, logits):
            if not isinstance(output, Tensor):
                kind = type(output).__name__
                raise ConfigError(f"model.name: {config.name} returns not one tensor of logits but a {kind}")
        try:
            head = find_head(model, lambda: model(images))
        except UserError as error:
            raise ConfigError(f"{_no_head(config)}: {error}") from None
        with head.layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone())):
            logits = model(images)
    if head.output_map or head.places != "one" or logits.shape != (PROBE, classes):
        raise ConfigError(_no_head(config))
    return head, head_rows(head, seen[0], logits, logits)


def _no_head(config: ExternalModel) -> str:
    return (
        f"model.name: {config.name} does not end in a linear layer with an output for each class, so it has no "
        "penultimate features"
    )


def _forward(config: ExternalModel, model: nn.Module, images: Tensor) -> Any:
    try:
        return model(images)
    except (RuntimeError, ValueError, AssertionError) as error:
        size = " x ".join(str(length) for length in images.shape[1:])
        raise ConfigError(f"model.name: {config.name} does not take images of {size}: {one_line(error)}") from None


def _check_gradients(config: ExternalModel, model: nn.Module, images: Tensor) -> None:
    """The optimizer moves every parameter, so each must have a gradient in training."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    features = _forward(config, model, images)
    gradients = torch.autograd.grad(features.sum(), [parameter for _, parameter in named], allow_unused=True)
    idle = [name for (name, _), gradient in zip(named, gradients, strict=True) if gradient is None]
    if idle:
        raise ConfigError(f"model.name: {config.name} has parameters that do not act on its output: {idle[0]}")


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)

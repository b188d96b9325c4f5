"""A model without its head: the linear layer whose output is the model's output is found, verified and cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nc_bench.config import ConfigError
from nc_bench.errors import UserError, out_of_memory
from nc_bench.models.backbones import HeadlessModel
from nc_bench.models.heads import FoundHead, find_head, head_rows
from nc_bench.models.linear_layers import weight_and_bias
from nc_bench.text import one_line

PROBE = 2
"""Samples in the forward pass that looks for the head. Two, because batch norm refuses one where a map is one pixel."""


def without_head(model: nn.Module, name: str, shape: Sequence[int], classes: int) -> HeadlessModel:
    """The model, called `name` in the configuration, without its head: (n, *shape) -> features (n, d).

    The head is the linear layer (or convolution of one pixel) whose output is the model's output, found in a forward
    pass; an identity takes its place, and the output of this headless model is verified to be the input of the head.
    In training the features may pass a dropout that the model puts before the head.
    Raises ConfigError, one line that names model.name: the model does not take such samples, returns no single tensor,
    ends in no linear layer with an output for each class, or has parameters that do not act.
    """
    samples = torch.randn(PROBE, *shape)
    fresh = {key: buffer.clone() for key, buffer in model.named_buffers()}
    head, inputs = _head(name, model, samples, classes)
    if not head.name:
        raise ConfigError(f"model.name: {name} is a linear layer alone, without a backbone before it")
    replace_module(model, head.name, nn.Identity())
    with torch.no_grad():
        features = _forward(name, model.eval(), samples)
    if not isinstance(features, Tensor) or not torch.equal(features, inputs):
        raise ConfigError(f"model.name: {name} without its linear layer {head.name} does not return its input")
    before = torch.get_rng_state()
    _check_gradients(name, model.train(), samples)
    stochastic = not torch.equal(before, torch.get_rng_state())
    for key, buffer in model.named_buffers():
        buffer.copy_(fresh[key])
    weight, bias = weight_and_bias(head.name, head.layer)
    return HeadlessModel(
        module=model,
        width=inputs.shape[-1],
        stochastic=stochastic,
        head_name=head.name,
        head_weight=weight,
        head_bias=bias,
    )


def _head(name: str, model: nn.Module, samples: Tensor, classes: int) -> tuple[FoundHead, Tensor]:
    """The layer that the model ends in, and its input: a row of features for each sample, in evaluation."""
    seen: list[Tensor] = []
    with torch.no_grad():
        in_training = _forward(name, model.train(), samples)
        logits = _forward(name, model.eval(), samples)
        for output in (in_training, logits):
            if not isinstance(output, Tensor):
                kind = type(output).__name__
                raise ConfigError(f"model.name: {name} returns not one tensor of logits but a {kind}")
        try:
            head = find_head(model, lambda: model(samples))
        except UserError as error:
            raise ConfigError(f"{_no_head(name)}: {error}") from None
        with head.layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone())):
            logits = model(samples)
    if head.output_map or head.places != "one" or logits.shape != (PROBE, classes):
        raise ConfigError(_no_head(name))
    return head, head_rows(head, seen[0], logits, logits)


def _no_head(name: str) -> str:
    return (
        f"model.name: {name} does not end in a linear layer with an output for each class, so it has no "
        "penultimate features"
    )


def _forward(name: str, model: nn.Module, samples: Tensor) -> Any:
    try:
        return model(samples)
    except Exception as error:  # whatever a model makes of samples that it does not take
        if out_of_memory(error):
            raise
        what = "images" if samples.ndim == 4 else "samples"
        size = " x ".join(str(length) for length in samples.shape[1:])
        raise ConfigError(f"model.name: {name} does not take {what} of {size}: {one_line(error)}") from error


def _check_gradients(name: str, model: nn.Module, samples: Tensor) -> None:
    """The optimizer moves every parameter, so each must have a gradient in training."""
    named = [(key, p) for key, p in model.named_parameters() if p.requires_grad]
    if not named:
        return
    features = _forward(name, model, samples)
    gradients = torch.autograd.grad(features.sum(), [parameter for _, parameter in named], allow_unused=True)
    idle = [key for (key, _), gradient in zip(named, gradients, strict=True) if gradient is None]
    if idle:
        raise ConfigError(f"model.name: {name} has parameters that do not act on its output: {idle[0]}")


def replace_module(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in the place of the one of this dotted name."""
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)

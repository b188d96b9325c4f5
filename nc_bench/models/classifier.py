"""A classifier: a linear head on a backbone, and the bounds that hold inside its forward pass; built from configs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nc_bench.config import (
    Config,
    ConfigError,
    DeepLinear,
    ExternalModel,
    LiveModel,
    Mlp,
    PluginModel,
    ResNet,
    Unconstrained,
)
from nc_bench.constraints import ConstraintSet, build_set
from nc_bench.geometry.simplex import simplex_vertices
from nc_bench.models.backbones import FeatureTable, HeadlessModel, deep_linear, mlp, unconstrained
from nc_bench.models.external import external_model
from nc_bench.models.layers import SingleTrial, StackedBatchNorm, StackedLinear
from nc_bench.models.live import live_model
from nc_bench.models.plugin import plugin_model
from nc_bench.models.resnet import resnet
from nc_bench.rng import Stream, generator, global_stream


class Classifier(nn.Module):
    """x -> head(backbone(x)) for t trials; the input of `head` is the penultimate feature f(x) (t, n, d).

    A network's feature bound is the last module of its backbone, so f(x) is what the paper's f(x) is.
    `output_bound` is the bound |h(x)| <= R of the paper's section 3, or None. `stochastic` says whether a forward pass
    in training draws from torch's global generators, as dropout does. `head_name`: what the head is called in the model
    that the backbone was cut from; None if it was made without one.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: StackedLinear,
        output_bound: ConstraintSet | None = None,
        *,
        stochastic: bool = False,
        head_name: str | None = None,
    ) -> None:
        super().__init__()
        self.backbone, self.head, self.output_bound = backbone, head, output_bound
        self.stochastic, self.head_name = stochastic, head_name

    @property
    def width(self) -> int:
        """Width d of the penultimate features."""
        return self.head.weight.shape[-1]

    @property
    def table(self) -> nn.Parameter | None:
        """The unconstrained features (t, N, d), None for a network."""
        return self.backbone.features if isinstance(self.backbone, FeatureTable) else None

    @property
    def uses_batch_statistics(self) -> bool:
        """Whether batch norm normalizes a training batch by its own mean and variance."""
        return any(isinstance(module, StackedBatchNorm | _BatchNorm) for module in self.modules())

    def forward(self, x: Tensor) -> Float[Tensor, "t n k"]:
        return self.outputs(self.backbone(x))

    def outputs(self, features: Float[Tensor, "t n d"]) -> Float[Tensor, "t n k"]:
        """h(x) from f(x)."""
        logits: Tensor = self.head(features)
        return logits if self.output_bound is None else self.output_bound(logits)


@dataclass(frozen=True, kw_only=True)
class _DataSizes:
    input_shape: Sequence[int]
    samples: int
    classes: int


BACKBONES: dict[type, Callable[[Any, _DataSizes, Sequence[torch.Generator]], HeadlessModel]] = {
    Mlp: lambda model, data, draws: mlp(model, math.prod(data.input_shape), draws),
    Unconstrained: lambda model, data, draws: unconstrained(model, data.samples, draws),
    DeepLinear: lambda model, data, draws: deep_linear(model, data.samples, draws),
    ResNet: lambda model, data, _: resnet(model, data.input_shape[0]),
    ExternalModel: lambda model, data, _: external_model(model, data.input_shape, data.classes),
    LiveModel: lambda model, data, _: live_model(model, data.input_shape, data.classes),
    PluginModel: lambda model, data, _: plugin_model(model, data.input_shape, data.samples, data.classes),
}
"""The backbone of every model in a configuration. The generators are those of the trials; ordinary modules of torch
draw from its global generator instead."""


def build_classifier(
    configs: Sequence[Config], *, input_shape: Sequence[int], samples: int, classes: int
) -> Classifier:
    """The classifier of these trials, new on the CPU, each from its own seed: float32, a simplex float64.

    Trials share the structure of the first: everything but numbers must be equal. A table of unconstrained
    features has one row for each of `samples`; a network takes inputs of `input_shape`.
    Models that are not stacked come one at a time.
    Raises ConfigError where features are too narrow for `head.init: simplex`, or the model takes no such inputs.
    """
    first, model = configs[0], configs[0].model
    assert len(configs) == 1 or not model.not_stacked, f"{model.name} is not stacked: {model.not_stacked}"
    if model.takes_images:
        _check_images(first, input_shape)
    generators = [generator(config.seed, Stream.INITIALISATION) for config in configs]
    sizes = _DataSizes(input_shape=input_shape, samples=samples, classes=classes)
    # Another stream than the head's, or both would start with the same numbers.
    with global_stream(first.seed, Stream.INITIALISATION, 1):
        headless = BACKBONES[type(model)](model, sizes, generators)
    head = _head(first, headless.width, classes, generators)
    _keep_head(first, head, headless)
    backbone, bound = _bounded(headless.module, configs), build_set(configs, "outputs")
    return Classifier(backbone, head, bound, stochastic=headless.stochastic, head_name=headless.head_name)


def _bounded(backbone: nn.Module, configs: Sequence[Config]) -> nn.Module:
    """The backbone for stacked trials, with the bound of its features at its end; a table's features are projected."""
    model, bound = configs[0].model, build_set(configs, "features")
    if model.not_stacked:
        return SingleTrial(backbone, bound)
    if bound is not None and not model.is_feature_table:
        backbone.add_module("bound", bound)
    return backbone


def _check_images(config: Config, input_shape: Sequence[int]) -> None:
    if len(input_shape) != 3:
        raise ConfigError(
            f"model.name: {config.model.name} takes images, but a sample of data.name: {config.data.name} is "
            f"{' x '.join(str(length) for length in input_shape)} numbers, not channels x height x width"
        )


@torch.no_grad()
def _keep_head(config: Config, head: StackedLinear, headless: HeadlessModel) -> None:
    """Start with the head that the model has brought, unless the configuration says how it begins."""
    if headless.head_weight is None or config.head.init != "default":
        return
    if (headless.head_bias is None) != (head.bias is None):
        has = "has none" if headless.head_bias is None else "has one"
        raise ConfigError(f"head.bias: {str(config.head.bias).lower()}, but the head of {config.model.name} {has}")
    head.weight.copy_(headless.head_weight)
    if head.bias is not None and headless.head_bias is not None:
        head.bias.copy_(headless.head_bias)


def _head(config: Config, width: int, classes: int, generators: Sequence[torch.Generator]) -> StackedLinear:
    head = StackedLinear(width, classes, generators, bias=config.head.bias)
    if config.head.init == "simplex":
        if width < classes - 1:
            key = "model.widths to end in" if "widths" in type(config.model).model_fields else "features of width"
            raise ConfigError(
                f"head.init: a simplex of {classes} classes needs {key} at least {classes - 1}, got {width}"
            )
        vertices = [simplex_vertices(classes, width, generator=draw) for draw in generators]
        # Kept in float64: in a float64 run a frozen simplex is one to 1e-16.
        head.weight = nn.Parameter(torch.stack(vertices))
        if head.bias is not None:
            head.bias = nn.Parameter(torch.zeros_like(head.bias))
    head.requires_grad_(config.head.trainable)
    return head

"""From configurations to a classifier: one stacked model for trials that differ only in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from nc_bench.config import Config, ConfigError, ExternalModel, Mlp, ResNet, Unconstrained
from nc_bench.constraints import build_set
from nc_bench.geometry.simplex import simplex_vertices
from nc_bench.models.backbones import FeatureTable, mlp
from nc_bench.models.classifier import Classifier
from nc_bench.models.external import HeadlessModel, headless_model
from nc_bench.models.layers import StackedLinear
from nc_bench.models.one_trial import OneTrial
from nc_bench.models.resnet import resnet
from nc_bench.rng import Stream, generator, global_stream


def build_classifier(
    configs: Sequence[Config], *, input_shape: Sequence[int], samples: int, classes: int
) -> Classifier:
    """The classifier of these trials, new on the CPU, each from its own seed: float32, a simplex float64.

    Trials share the structure of the first: everything but numbers must be equal. A table of unconstrained
    features has one row for each of `samples`; a network takes inputs of `input_shape`.
    Models that are not stackable come one at a time.
    Raises ConfigError where the head cannot be what it is asked to be, or the model cannot take these samples.
    """
    first = configs[0]
    assert len(configs) == 1 or not first.model.not_stacked, (
        f"{first.model.name} is not stacked: {first.model.not_stacked}"
    )
    generators = [generator(config.seed, Stream.INITIALISATION) for config in configs]
    bound, output_bound, stochastic = build_set(configs, "features"), build_set(configs, "outputs"), False
    backbone: nn.Module
    match first.model:
        case Unconstrained():
            backbone, width = FeatureTable(first.model, samples, generators), first.model.widths[-1]
        case Mlp():
            backbone, width = mlp(first.model, math.prod(input_shape), generators), first.model.widths[-1]
            if bound is not None:
                backbone.add_module("bound", bound)
        case _:
            cut = _not_stacked(first, input_shape, classes)
            backbone, width, stochastic = OneTrial(cut.module, bound), cut.width, cut.stochastic
    head = _head(first, width, classes, generators)
    return Classifier(backbone, head, output_bound, stochastic=stochastic)


def _not_stacked(config: Config, input_shape: Sequence[int], classes: int) -> HeadlessModel:
    """A network of ordinary layers, initialised from the seed by way of torch's global generator."""
    model = config.model
    assert isinstance(model, ResNet | ExternalModel)
    if len(input_shape) != 3:
        raise ConfigError(
            f"model.name: {model.name} takes images, but a sample of data.name: {config.data.name} is "
            f"{' x '.join(str(length) for length in input_shape)} numbers, not channels x height x width"
        )
    # Another stream than the head's, or both would start with the same numbers.
    with global_stream(config.seed, Stream.INITIALISATION, 1):
        if isinstance(model, ExternalModel):
            return headless_model(model, input_shape, classes)
        network = resnet(model, input_shape[0])
    return HeadlessModel(module=network, width=model.features_width, stochastic=False)


def _head(config: Config, width: int, classes: int, generators: Sequence[torch.Generator]) -> StackedLinear:
    head = StackedLinear(width, classes, generators, bias=config.head.bias)
    if config.head.init == "simplex":
        if width < classes - 1:
            key = "model.widths to end in" if isinstance(config.model, Mlp | Unconstrained) else "features of width"
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

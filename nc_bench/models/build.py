"""From configurations to a classifier: one stacked model for trials that differ only in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from nc_bench.config import Config, ConfigError, Unconstrained
from nc_bench.geometry.simplex import simplex_vertices
from nc_bench.models.backbones import FeatureTable, mlp
from nc_bench.models.classifier import Classifier
from nc_bench.models.layers import RadialBall, RadialSphere, StackedLinear
from nc_bench.streams import Stream, generator


def build_classifier(
    configs: Sequence[Config], *, input_shape: Sequence[int], samples: int, classes: int
) -> Classifier:
    """The classifier of these trials, new on the CPU, each from its own seed: float32, a simplex float64.

    Trials share the structure of the first: everything but numbers must be equal. A table of unconstrained
    features has one row for each of `samples`; a network takes inputs of `input_shape`.
    Raises ConfigError where the head cannot be what it is asked to be.
    """
    first = configs[0]
    generators = [generator(config.seed, Stream.INITIALISATION) for config in configs]
    backbone: nn.Module
    if isinstance(first.model, Unconstrained):
        backbone = FeatureTable(first.model, samples, generators)
    else:
        backbone = mlp(first.model, math.prod(input_shape), generators)
        if first.constraints.features is not None:
            radii = [c.constraints.features.radius for c in configs if c.constraints.features]
            if first.constraints.features.set == "sphere":
                backbone.add_module("sphere", RadialSphere(radii))
            else:
                backbone.add_module("ball", RadialBall(radii, first.constraints.features.p))
    head = _head(first, classes, generators)
    output_ball = None
    if first.constraints.outputs is not None:
        radii = [c.constraints.outputs.radius for c in configs if c.constraints.outputs]
        output_ball = RadialBall(radii, first.constraints.outputs.p)
    return Classifier(backbone, head, output_ball)


def _head(config: Config, classes: int, generators: Sequence[torch.Generator]) -> StackedLinear:
    width = config.model.widths[-1]
    head = StackedLinear(width, classes, generators, bias=config.head.bias)
    if config.head.init == "simplex":
        if width < classes - 1:
            raise ConfigError(
                f"head.init: a simplex of {classes} classes needs model.widths to end in at least {classes - 1}, "
                f"got {width}"
            )
        vertices = [simplex_vertices(classes, width, generator=draw) for draw in generators]
        # Kept in float64: in a float64 run a frozen simplex is one to 1e-16.
        head.weight = nn.Parameter(torch.stack(vertices))
        if head.bias is not None:
            head.bias = nn.Parameter(torch.zeros_like(head.bias))
    head.requires_grad_(config.head.trainable)
    return head

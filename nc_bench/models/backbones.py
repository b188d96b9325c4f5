"""Backbones f: what turns an input into penultimate features. Here those of t trials at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from nc_bench.config import DeepLinear, Mlp, Unconstrained
from nc_bench.models.layers import ACTIVATIONS, StackedBatchNorm, StackedLinear


@dataclass(frozen=True, kw_only=True)
class HeadlessModel:
    """A model without its head: x (t, n, ...) -> features (t, n, d), without the axis of trials if not stacked.

    `stochastic` says whether it draws random numbers in training, as dropout does. head_name: what its head is called
    in the state dict of the whole model; head_weight (K, d) and head_bias (K,): those to start with, where the model
    has brought its own.
    """

    module: nn.Module
    width: int
    stochastic: bool = False
    head_name: str | None = None
    head_weight: Tensor | None = None
    head_bias: Tensor | None = None


def mlp(config: Mlp, inputs: int, generators: Sequence[torch.Generator]) -> HeadlessModel:
    """Flatten, then a stage for every width, layer1, layer2, ..: linear, (batch norm,) activation; the last one as
    configured, the first ones frozen if configured."""
    stages: dict[str, nn.Module] = {"flatten": nn.Flatten(start_dim=2)}
    widths = [inputs, *config.widths]
    for index in range(1, len(widths)):
        parts: dict[str, nn.Module] = {"linear": StackedLinear(widths[index - 1], widths[index], generators)}
        if index < len(widths) - 1 or config.final_activation:
            if config.batch_norm:
                parts["norm"] = StackedBatchNorm(len(generators), widths[index])
            parts["activation"] = ACTIVATIONS[config.activation]()
        stage = nn.Sequential(OrderedDict(parts))
        stages[f"layer{index}"] = stage.requires_grad_(index > (config.frozen_layers or 0))
    return HeadlessModel(module=nn.Sequential(OrderedDict(stages)), width=widths[-1])


class FeatureTable(nn.Module):
    """Unconstrained features: f(x_i) is a free vector, so x is the sample's index. features (t, N, d).

    The paper's proxy for a very expressive network: any bounded function on the samples (section 1, (1)).
    """

    def __init__(self, width: int, scale: float, samples: int, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        draws = [torch.randn(samples, width, generator=draw) for draw in generators]
        self.features = nn.Parameter(torch.stack(draws) * scale)

    def forward(self, index: Int64[Tensor, "t n"]) -> Float[Tensor, "t n d"]:
        return self.features.gather(1, index[..., None].expand(-1, -1, self.features.shape[-1]))


def unconstrained(config: Unconstrained, samples: int, generators: Sequence[torch.Generator]) -> HeadlessModel:
    """A table of features."""
    width = config.widths[-1]
    return HeadlessModel(module=FeatureTable(width, config.init_scale, samples, generators), width=width)


def deep_linear(config: DeepLinear, samples: int, generators: Sequence[torch.Generator]) -> HeadlessModel:
    """A table, and on it linear layers without bias, layer1, layer2, .."""
    stages: dict[str, nn.Module] = {"table": FeatureTable(config.widths[0], config.init_scale, samples, generators)}
    for index, (inputs, outputs) in enumerate(pairwise(config.widths), 1):
        linear = StackedLinear(inputs, outputs, generators, bias=False)
        stages[f"layer{index}"] = nn.Sequential(OrderedDict(linear=linear))
    return HeadlessModel(module=nn.Sequential(OrderedDict(stages)), width=config.widths[-1])

"""Backbones f: what turns an input into penultimate features, for t trials at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from nc_bench.config import Mlp, Unconstrained
from nc_bench.models.layers import ACTIVATIONS, StackedBatchNorm, StackedLinear


def mlp(config: Mlp, inputs: int, generators: Sequence[torch.Generator]) -> nn.Sequential:
    """Flatten, then a stage for every width, layer1, layer2, ..: linear, (batch norm,) activation; the last one as
    configured."""
    stages: dict[str, nn.Module] = {"flatten": nn.Flatten(start_dim=2)}
    widths = [inputs, *config.widths]
    for index in range(1, len(widths)):
        parts: dict[str, nn.Module] = {"linear": StackedLinear(widths[index - 1], widths[index], generators)}
        if index < len(widths) - 1 or config.final_activation:
            if config.batch_norm:
                parts["norm"] = StackedBatchNorm(len(generators), widths[index])
            parts["activation"] = ACTIVATIONS[config.activation]()
        stages[f"layer{index}"] = nn.Sequential(OrderedDict(parts))
    return nn.Sequential(OrderedDict(stages))


class FeatureTable(nn.Module):
    """Unconstrained features: f(x_i) is a free vector, so x is the sample's index. features (t, N, d).

    The paper's proxy for a very expressive network: any bounded function on the samples (section 1, (1)).
    """

    def __init__(self, config: Unconstrained, samples: int, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        draws = [torch.randn(samples, *config.widths, generator=draw) for draw in generators]
        self.features = nn.Parameter(torch.stack(draws) * config.init_scale)

    def forward(self, index: Int64[Tensor, "t n"]) -> Float[Tensor, "t n d"]:
        return self.features.gather(1, index[..., None].expand(-1, -1, self.features.shape[-1]))

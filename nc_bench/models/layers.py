"""Layers of t independent networks at once: parameters carry a leading axis of trials, a single run has t = 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nc_bench.geometry.balls import radial_ball

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "hard_tanh": nn.Hardtanh,
}


class StackedLinear(nn.Module):
    """x -> W x + b for every trial: weight (t, out, in), bias (t, out); x (t, n, in).

    Initialised as torch's Linear is, uniform in +-1/sqrt(in), each trial from its own generator.
    """

    def __init__(self, inputs: int, outputs: int, generators: Sequence[torch.Generator], *, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)

        def uniform(*shape: int) -> nn.Parameter:
            draws = [torch.empty(*shape).uniform_(-bound, bound, generator=draw) for draw in generators]
            return nn.Parameter(torch.stack(draws))

        self.weight = uniform(outputs, inputs)
        self.bias = uniform(outputs) if bias else None

    def forward(self, x: Float[Tensor, "t n i"]) -> Float[Tensor, "t n o"]:
        if self.bias is None:
            return torch.bmm(x, self.weight.mT)
        return torch.baddbmm(self.bias[:, None], x, self.weight.mT)


class StackedBatchNorm(nn.Module):
    """Batch normalisation within every trial, which is batch normalisation over trials x channels."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, trials: int, channels: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(trials, channels))
        self.bias = nn.Parameter(torch.zeros(trials, channels))
        self.register_buffer("running_mean", torch.zeros(trials, channels))
        self.register_buffer("running_var", torch.ones(trials, channels))

    def forward(self, x: Float[Tensor, "t n c"]) -> Float[Tensor, "t n c"]:
        trials, samples, channels = x.shape
        normalised = F.batch_norm(
            x.transpose(0, 1).reshape(samples, trials * channels),
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.weight.view(-1),
            self.bias.view(-1),
            self.training,
            self.momentum,
            self.eps,
        )
        return normalised.view(samples, trials, channels).transpose(0, 1)


class RadialBall(nn.Module):
    """x -> x min(1, R/|x|_p), the paper's bound |f(x)| <= R or |h(x)| <= R, with a radius for every trial."""

    radius: Tensor

    def __init__(self, radii: Sequence[float], p: float) -> None:
        super().__init__()
        self.p = p
        self.register_buffer("radius", torch.tensor(radii, dtype=torch.float64)[:, None], persistent=False)

    def forward(self, x: Float[Tensor, "t n d"]) -> Float[Tensor, "t n d"]:
        return radial_ball(x, self.radius.to(x.dtype), self.p)

"""Layers of t independent networks at once: parameters carry a leading axis of trials, a single run has t = 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nc_bench.constraints import ConstraintSet

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "hard_tanh": nn.Hardtanh,
    "identity": nn.Identity,
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
        # Samples are innermost in memory: sums over them, which batch norm and gradients take, are then fast.
        if self.bias is None:
            return torch.bmm(self.weight, x.mT).mT
        return torch.baddbmm(self.bias[..., None], self.weight, x.mT).mT


class StackedBatchNorm(nn.Module):
    """Batch normalization within every trial: that of torch.nn.BatchNorm1d for every channel of every trial."""

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
        if not self.training:
            scale = self.weight * (self.running_var + self.eps).rsqrt()
            return torch.addcmul((self.bias - self.running_mean * scale)[:, None], x, scale[:, None])
        trials, samples, channels = x.shape
        # Every channel of every trial is a group of its own: the fastest fused kernel over samples that torch has.
        groups = trials * channels
        precise = x.float() if x.dtype == torch.bfloat16 else x
        normalized, mean, inverse = torch.native_group_norm(
            precise.mT.reshape(1, groups, samples),
            self.weight.reshape(-1),
            self.bias.reshape(-1),
            1,
            groups,
            samples,
            groups,
            self.eps,
        )
        self._remember(mean.view(trials, channels), inverse.view(trials, channels), samples)
        return normalized.view(trials, channels, samples).mT

    @torch.no_grad()
    def _remember(self, mean: Float[Tensor, "t c"], inverse: Float[Tensor, "t c"], samples: int) -> None:
        """Move the running statistics towards a batch's mean and unbiased variance, inverse = (variance + eps)^-1/2."""
        unbiased = (inverse.pow(-2) - self.eps) * (samples / (samples - 1))
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased, self.momentum)


class SingleTrial(nn.Module):
    """x (1, n, ...) -> module(x[0])[None], then the bound if there is one: a backbone that is not stacked."""

    def __init__(self, module: nn.Module, bound: ConstraintSet | None = None) -> None:
        super().__init__()
        self.module, self.bound = module, bound

    def forward(self, x: Tensor) -> Float[Tensor, "1 n d"]:
        assert len(x) == 1, "not stacked over trials"
        features: Tensor = self.module(x[0])[None]
        return features if self.bound is None else self.bound(features)


def with_trial_axis(model: nn.Module, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Views (t, ...) of parameters of the model: those inside a `SingleTrial` get a leading axis of one.

    The views belong to no graph. Writing to them writes to the parameters.
    """
    single = {id(p) for module in model.modules() if isinstance(module, SingleTrial) for p in module.parameters()}
    return [tensor.detach()[None] if id(tensor) in single else tensor.detach() for tensor in parameters]

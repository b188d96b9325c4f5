"""Muon: orthogonalised momentum for the weight matrices of hidden layers, AdamW for everything else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.config import Muon
from nc_bench.training.optimizers.base import StackedOptimizer, State
from nc_bench.training.optimizers.first_order import StackedAdam
from nc_bench.training.optimizers.groups import ParamGroup

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
SMALLEST = 1e-7
"""As in Jordan's post and in torch.optim.Muon."""


class StackedMuon(StackedOptimizer):
    """m <- b m + (1-b) g, u = (1-b) g + b m (Nesterov; else m), w <- w - lr sqrt(max(1, out/in)) NS(u).

    This is torch.optim.Muon with its "original" adjustment of the learning rate (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon/), for the groups of matrices; AdamW moves the others.
    """

    def __init__(
        self, groups: Sequence[ParamGroup], clip_norms: Float[Tensor, "t"] | None, settings: Sequence[Muon]
    ) -> None:
        super().__init__(groups, clip_norms)
        self.nesterov = settings[0].nesterov
        self.matrices = [group for group in groups if group.matrices]
        self.adamw = StackedAdam([group for group in groups if not group.matrices], None, settings)
        self.momentum = [group.per_trial([c.momentum for c in settings]) for group in self.matrices]
        self.rest = [group.per_trial([1 - c.momentum for c in settings]) for group in self.matrices]
        self.velocity = [torch.zeros_like(group.buffer) for group in self.matrices]

    def _update(self, gradients: list[Tensor], factor: float) -> None:
        self.adamw.steps = self.steps
        self.adamw._update([group.gradient for group in self.adamw.groups], factor)
        own = [group.gradient for group in self.matrices]
        torch._foreach_lerp_(self.velocity, own, self.rest)
        if self.nesterov:
            torch._foreach_lerp_(own, self.velocity, self.momentum)
        directions = own if self.nesterov else self.velocity
        steps = [
            torch.cat([_step(matrices).flatten(1) for matrices in _with_trials(group, direction)], 1)
            for group, direction in zip(self.matrices, directions, strict=True)
        ]
        buffers, rates = [g.buffer for g in self.matrices], [g.learning_rate for g in self.matrices]
        torch._foreach_addcmul_(buffers, steps, rates, value=-factor)

    def _state(self) -> State:
        views = zip(self.matrices, self.velocity, strict=True)
        by_name = {name: view for group, velocity in views for name, view in group.split(velocity).items()}
        return {"momentum_buffer": by_name, **self.adamw._state()}


def _with_trials(group: ParamGroup, like_buffer: Tensor) -> list[Float[Tensor, "t _ _"]]:
    """The group's matrices, stacked over trials also where the model has no such axis."""
    return [view.reshape(len(group.buffer), *view.shape[-2:]) for view in group.split(like_buffer).values()]


def _step(direction: Float[Tensor, "t m n"]) -> Float[Tensor, "t m n"]:
    rows, columns = direction.shape[1:]
    return orthogonalised(direction).to(direction.dtype) * math.sqrt(max(1, rows / columns))


def orthogonalised(matrices: Float[Tensor, "t m n"]) -> Float[Tensor, "t m n"]:
    """NS(G): five Newton-Schulz iterations in bfloat16 from G/|G|_F on each matrix, as torch.optim.Muon takes them.

    About U V^T of the singular value decomposition G = U S V^T: singular values between 0.5 and 1.5.
    """
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=SMALLEST)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x

"""Muon: orthogonalised momentum for the weight matrices of hidden layers, AdamW for everything else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import compress

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.config import Muon
from nc_bench.training.optimizers import AdamRule, UpdateRule
from nc_bench.training.slots import Slots, per_trial

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
SMALLEST = 1e-7
"""As in Jordan's post and in torch.optim.Muon."""


class MuonRule(UpdateRule):
    """m <- b m + (1-b) g, u = (1-b) g + b m (Nesterov; else m), w <- w - lr sqrt(max(1, out/in)) NS(u).

    This is torch.optim.Muon with its "original" adjustment of the learning rate (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon/), for the slots of `slots.matrices`; AdamW moves the others.
    """

    def __init__(self, slots: Slots, configs: Sequence[Muon]) -> None:
        super().__init__(slots)
        self.nesterov = configs[0].nesterov
        others = [not is_matrix for is_matrix in slots.matrices]
        self.hidden, self.others = slots.chosen(slots.matrices), AdamRule(slots.chosen(others), configs)
        self.momentum = [per_trial([c.momentum for c in configs], p) for p in self.hidden.parameters]
        self.rest = [per_trial([1 - c.momentum for c in configs], p) for p in self.hidden.parameters]
        self.velocity = [torch.zeros_like(parameter) for parameter in self.hidden.parameters]

    def _update(self, gradients: list[Tensor], scale: float) -> None:
        matrices = self.slots.matrices
        self.others.steps = self.steps
        self.others._update(list(compress(gradients, (not is_matrix for is_matrix in matrices))), scale)
        own = list(compress(gradients, matrices))
        torch._foreach_lerp_(self.velocity, own, self.rest)
        if self.nesterov:
            torch._foreach_lerp_(own, self.velocity, self.momentum)
        directions = own if self.nesterov else self.velocity
        steps = [
            torch.cat([self._step(part, member) for part, member in zip(parts, members, strict=True)], 1)
            for parts, members in zip(self._parts(directions), self.hidden.members, strict=True)
        ]
        torch._foreach_addcmul_(self.hidden.parameters, steps, self.hidden.learning_rates, value=-scale)

    def _parts(self, like_slots: list[Tensor]) -> list[tuple[Tensor, ...]]:
        return [
            stacked.split([member.numel() // len(stacked) for member in members], 1)
            for stacked, members in zip(like_slots, self.hidden.members, strict=True)
        ]

    def _step(self, direction: Float[Tensor, "t p"], member: Tensor) -> Float[Tensor, "t p"]:
        rows, columns = member.shape[-2:]
        step = orthogonalised(direction.reshape(-1, rows, columns)).to(direction.dtype)
        return (step * math.sqrt(max(1, rows / columns))).flatten(1)

    def memory(self) -> list[Tensor]:
        return [*self.hidden.as_members(self.velocity), *self.others.memory()]


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

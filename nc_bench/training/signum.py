"""Signum: steps along the signs of the momentum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nc_bench.training.optimizers import UpdateRule
from nc_bench.training.slots import Slots, per_trial


class SignumRule(UpdateRule):
    """m <- b m + (1 - b) g, w <- w - lr sign(m), where sign(0) = 0 (Bernstein et al. 2018, Algorithm 2).

    g includes the coupled decay; with decoupled decay, which comes before, this is SignumW. A NaN stays one.
    """

    def __init__(self, slots: Slots, momentum: Sequence[float]) -> None:
        super().__init__(slots)
        # Taken in double precision: 1 - .999 in float32 is 5e-5 off.
        self.rest = [per_trial([1 - b for b in momentum], parameter) for parameter in slots.parameters]
        self.momentum = [torch.zeros_like(parameter) for parameter in slots.parameters]

    def _update(self, gradients: list[Tensor], scale: float) -> None:
        torch._foreach_lerp_(self.momentum, gradients, self.rest)
        directions = gradients
        for direction, momentum in zip(directions, self.momentum, strict=True):
            torch.sign(momentum, out=direction)
        # torch takes NaN for no sign: a trial that is lost would stand still and look well.
        torch._foreach_add_(directions, self.momentum, alpha=0.0)
        torch._foreach_addcmul_(self.slots.parameters, directions, self.slots.learning_rates, value=-scale)

    def memory(self) -> list[Tensor]:
        return self.slots.as_members(self.momentum)

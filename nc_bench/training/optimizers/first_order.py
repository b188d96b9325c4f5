"""SGD, Adam and Signum for stacked trials."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.config import Adam, AdamW, Muon
from nc_bench.training.optimizers.base import StackedOptimizer, State
from nc_bench.training.optimizers.groups import ParamGroup


class StackedSGD(StackedOptimizer):
    """v <- m v + g, w <- w - lr v (Nesterov: w <- w - lr (g + m v)); g includes the coupled decay."""

    def __init__(
        self,
        groups: Sequence[ParamGroup],
        clip_norms: Float[Tensor, "t"] | None,
        *,
        momentum: Sequence[float],
        nesterov: bool,
    ) -> None:
        super().__init__(groups, clip_norms)
        self.nesterov, self.momentum = nesterov, self._numbers(momentum)
        self.velocity = [torch.zeros_like(buffer) for buffer in self.buffers] if any(momentum) else []

    def _update(self, gradients: list[Tensor], factor: float) -> None:
        direction = gradients
        if self.velocity:
            torch._foreach_mul_(self.velocity, self.momentum)
            torch._foreach_add_(self.velocity, gradients)
            direction = self.velocity
            if self.nesterov:
                torch._foreach_addcmul_(gradients, self.velocity, self.momentum)
                direction = gradients
        torch._foreach_addcmul_(self.buffers, direction, self.learning_rates, value=-factor)

    def _state(self) -> State:
        return {"momentum_buffer": self._by_name(self.velocity)} if self.velocity else {}


class StackedAdam(StackedOptimizer):
    """Adam: m <- b1 m + (1-b1) g, v <- b2 v + (1-b2) g^2, w <- w - lr mhat / (sqrt(vhat) + eps)."""

    def __init__(
        self,
        groups: Sequence[ParamGroup],
        clip_norms: Float[Tensor, "t"] | None,
        settings: Sequence[Adam | AdamW | Muon],
    ) -> None:
        super().__init__(groups, clip_norms)
        self.betas = [(c.betas[0], c.betas[1]) for c in settings]
        # Taken in double precision: 1 - .999 in float32 is 5e-5 off.
        self.rest1 = self._numbers([1 - beta1 for beta1, _ in self.betas])
        self.beta2 = self._numbers([beta2 for _, beta2 in self.betas])
        self.rest2 = self._numbers([1 - beta2 for _, beta2 in self.betas])
        self.eps = self._numbers([c.eps for c in settings])
        self.first = [torch.zeros_like(buffer) for buffer in self.buffers]
        self.second = [torch.zeros_like(buffer) for buffer in self.buffers]

    def _update(self, gradients: list[Tensor], factor: float) -> None:
        inverse1 = self._numbers([1 / (1 - beta1**self.steps) for beta1, _ in self.betas])
        inverse2 = self._numbers([(1 - beta2**self.steps) ** -0.5 for _, beta2 in self.betas])
        torch._foreach_lerp_(self.first, gradients, self.rest1)
        torch._foreach_mul_(self.second, self.beta2)
        torch._foreach_mul_(gradients, gradients)
        torch._foreach_addcmul_(self.second, gradients, self.rest2)
        directions = gradients
        for direction, second in zip(directions, self.second, strict=True):
            torch.sqrt(second, out=direction)
        torch._foreach_mul_(directions, inverse2)
        torch._foreach_add_(directions, self.eps)
        for direction, first in zip(directions, self.first, strict=True):
            torch.div(first, direction, out=direction)
        rates = torch._foreach_mul(self.learning_rates, inverse1)
        torch._foreach_addcmul_(self.buffers, directions, rates, value=-factor)

    def _state(self) -> State:
        return {"exp_avg": self._by_name(self.first), "exp_avg_sq": self._by_name(self.second)}


class StackedSignum(StackedOptimizer):
    """m <- b m + (1 - b) g, w <- w - lr sign(m), where sign(0) = 0 (Bernstein et al. 2018, Algorithm 2).

    g includes the coupled decay; with decoupled decay, which comes before, this is SignumW. A NaN stays NaN.
    """

    def __init__(
        self, groups: Sequence[ParamGroup], clip_norms: Float[Tensor, "t"] | None, *, momentum: Sequence[float]
    ) -> None:
        super().__init__(groups, clip_norms)
        # Taken in double precision: 1 - .999 in float32 is 5e-5 off.
        self.rest = self._numbers([1 - b for b in momentum])
        self.momentum = [torch.zeros_like(buffer) for buffer in self.buffers]

    def _update(self, gradients: list[Tensor], factor: float) -> None:
        torch._foreach_lerp_(self.momentum, gradients, self.rest)
        directions = gradients
        for direction, momentum in zip(directions, self.momentum, strict=True):
            torch.sign(momentum, out=direction)
        # torch.sign(NaN) is 0: without this a diverged trial would stand still and look sound.
        torch._foreach_add_(directions, self.momentum, alpha=0.0)
        torch._foreach_addcmul_(self.buffers, directions, self.learning_rates, value=-factor)

    def _state(self) -> State:
        return {"momentum_buffer": self._by_name(self.momentum)}

"""Update rules for stacked trials: every hyperparameter is a tensor with one value per trial.

The rules are those of torch.optim's SGD, Adam and AdamW (tested equal). Coupled decay enters the gradient,
decoupled decay shrinks the parameter before the step. Parameters whose numbers agree are kept in one buffer, so that
an update passes over memory few times; so are their gradients, and rules compute in this second buffer: new memory in
every step costs more than the arithmetic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.config import Adam, AdamW, Muon
from nc_bench.training.slots import Slots, per_trial


@dataclass(frozen=True, kw_only=True)
class LineSearch:
    """What tells the objective (t,) at the parameters and gradients at hand, and what evaluates both at other ones.

    Both are without weight decay, which a rule adds itself.
    """

    value: Callable[[], Float[Tensor, "t"]]
    evaluate: Callable[[], Float[Tensor, "t"]]


class UpdateRule(ABC):
    """Turns gradients into steps; `scale` is the schedule's factor of the learning rate."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.steps = 0
        self._buffers = [torch.empty_like(parameter) for parameter in slots.parameters]

    @torch.no_grad()
    def gradient_norms(self, trials: int) -> Float[Tensor, "t"]:
        """Norm of each trial's gradient over all its trainable parameters: that of the batch's objective, as the last
        backward pass left it, plus coupled decay, before clipping. Stays on the device."""
        return _norms([gradient.reshape(trials, -1) for gradient in self._gradients()])

    @torch.no_grad()
    def step(self, scale: float, search: LineSearch | None = None) -> None:
        """One update of every parameter from its gradient, which is dropped afterwards.

        `search` is for the rule that evaluates the objective more than once a step.
        """
        self.steps += 1
        parameters, rates = self.slots.parameters, self.slots.learning_rates
        if self.slots.decoupled_decays:
            shrunk = [1 - scale * rate * decay for rate, decay in zip(rates, self.slots.decoupled_decays, strict=True)]
            torch._foreach_mul_(parameters, shrunk)
        self._update(self._gradients(clipped=True), scale)
        self._forget_gradients()

    def _forget_gradients(self) -> None:
        for member in chain.from_iterable(self.slots.members):
            member.grad = None

    def _gradients(self, *, clipped: bool = False) -> list[Tensor]:
        """The gradient of every slot, coupled decay included, which is added after clipping; until the next call."""
        gradients = self._buffers
        self.slots.copy_gradients(gradients)
        if clipped and self.slots.clip_norms is not None:
            factors = (self.slots.clip_norms / (_norms(gradients) + 1e-6)).clamp(max=1.0)[:, None]
            torch._foreach_mul_(gradients, [factors.to(gradient) for gradient in gradients])
        if self.slots.coupled_decays:
            torch._foreach_addcmul_(gradients, self.slots.parameters, self.slots.coupled_decays)
        return gradients

    @abstractmethod
    def _update(self, gradients: list[Tensor], scale: float) -> None:
        """One step from these gradients, which are scratch space afterwards."""

    @abstractmethod
    def memory(self) -> list[Tensor]:
        """What the rule remembers from step to step besides their number, in the order of the model's parameters.

        Views that are saved and written into. Empty where nothing is remembered that a step would use.
        """


class SgdRule(UpdateRule):
    """v <- m v + g, w <- w - lr v (Nesterov: w <- w - lr (g + m v)); g includes the coupled decay."""

    def __init__(self, slots: Slots, momentum: Sequence[float], nesterov: bool) -> None:
        super().__init__(slots)
        self.nesterov = nesterov
        self.momentum = [per_trial(momentum, parameter) for parameter in slots.parameters]
        self.velocity = [torch.zeros_like(p) for p in slots.parameters] if any(momentum) else []

    def _update(self, gradients: list[Tensor], scale: float) -> None:
        direction = gradients
        if self.velocity:
            torch._foreach_mul_(self.velocity, self.momentum)
            torch._foreach_add_(self.velocity, gradients)
            direction = self.velocity
            if self.nesterov:
                torch._foreach_addcmul_(gradients, self.velocity, self.momentum)
                direction = gradients
        torch._foreach_addcmul_(self.slots.parameters, direction, self.slots.learning_rates, value=-scale)

    def memory(self) -> list[Tensor]:
        return self.slots.as_members(self.velocity) if self.velocity else []


class AdamRule(UpdateRule):
    """Adam: m <- b1 m + (1-b1) g, v <- b2 v + (1-b2) g^2, w <- w - lr mhat / (sqrt(vhat) + eps)."""

    def __init__(self, slots: Slots, configs: Sequence[Adam | AdamW | Muon]) -> None:
        super().__init__(slots)
        self.betas = [(c.betas[0], c.betas[1]) for c in configs]
        # Taken in double precision: 1 - .999 in float32 is 5e-5 off.
        self.rest1 = self._numbers([1 - beta1 for beta1, _ in self.betas])
        self.beta2 = self._numbers([beta2 for _, beta2 in self.betas])
        self.rest2 = self._numbers([1 - beta2 for _, beta2 in self.betas])
        self.eps = self._numbers([c.eps for c in configs])
        self.first = [torch.zeros_like(parameter) for parameter in slots.parameters]
        self.second = [torch.zeros_like(parameter) for parameter in slots.parameters]

    def _update(self, gradients: list[Tensor], scale: float) -> None:
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
        rates = torch._foreach_mul(self.slots.learning_rates, inverse1)
        torch._foreach_addcmul_(self.slots.parameters, directions, rates, value=-scale)

    def memory(self) -> list[Tensor]:
        return [*self.slots.as_members(self.first), *self.slots.as_members(self.second)]

    def _numbers(self, values: Sequence[float]) -> list[Tensor]:
        return [per_trial(values, parameter) for parameter in self.slots.parameters]


def _norms(gradients: Sequence[Float[Tensor, "t _"]]) -> Float[Tensor, "t"]:
    """Over all of each trial's."""
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g, dim=1) for g in gradients]), dim=0)

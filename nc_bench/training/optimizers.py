"""Update rules for stacked trials: every hyperparameter is a tensor with one value per trial.

The rules are those of torch.optim's SGD, Adam and AdamW (tested equal). Coupled decay enters the gradient,
decoupled decay shrinks the parameter before the step. All state lives in stacked tensors, so that a trial's can be
saved.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.config import Adam, AdamW, Config, Sgd
from nc_bench.models import Classifier
from nc_bench.models.backbones import FeatureTable
from nc_bench.models.layers import StackedLinear


@dataclass(frozen=True, kw_only=True)
class Slots:
    """Trainable parameters and their numbers, each number shaped to broadcast against its parameter.

    A decay that is zero for every parameter and trial is an empty list: it costs nothing.
    """

    parameters: list[Tensor]
    learning_rates: list[Tensor]
    coupled_decays: list[Tensor]
    decoupled_decays: list[Tensor]


class UpdateRule(ABC):
    """Turns gradients into steps; `scale` is the schedule's factor of the learning rate."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.steps = 0

    @torch.no_grad()
    def gradient_norms(self, trials: int) -> Float[Tensor, "t"]:
        """Norm of each trial's gradient over all its trainable parameters: that of the batch's objective, as the last
        backward pass left it, plus coupled decay. Stays on the device."""
        gradients = self._gradients()
        norms = [torch.linalg.vector_norm(gradient.reshape(trials, -1), dim=1) for gradient in gradients]
        return torch.linalg.vector_norm(torch.stack(norms), dim=0)

    @torch.no_grad()
    def step(self, scale: float) -> None:
        """One update of every parameter from its gradient, which is dropped afterwards."""
        self.steps += 1
        parameters, rates = self.slots.parameters, self.slots.learning_rates
        if self.slots.decoupled_decays:
            shrunk = [1 - scale * rate * decay for rate, decay in zip(rates, self.slots.decoupled_decays, strict=True)]
            torch._foreach_mul_(parameters, shrunk)
        self._update(self._gradients(), scale)
        for parameter in parameters:
            parameter.grad = None

    def _gradients(self) -> list[Tensor]:
        """The gradient of every parameter, coupled decay included."""
        parameters = self.slots.parameters
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        assert len(gradients) == len(parameters), "a trainable parameter took no part in the loss"
        if self.slots.coupled_decays:
            gradients = list(torch._foreach_addcmul(gradients, parameters, self.slots.coupled_decays))
        return gradients

    @abstractmethod
    def _update(self, gradients: list[Tensor], scale: float) -> None: ...

    @abstractmethod
    def memory(self) -> list[Tensor]:
        """All that the rule remembers from step to step besides their number, to be saved and written into."""


class SgdRule(UpdateRule):
    """v <- m v + g, w <- w - lr v (Nesterov: w <- w - lr (g + m v)); g includes the coupled decay."""

    def __init__(self, slots: Slots, momentum: Sequence[float], nesterov: bool) -> None:
        super().__init__(slots)
        self.nesterov = nesterov
        self.momentum = [_per_trial(momentum, parameter) for parameter in slots.parameters]
        self.velocity = [torch.zeros_like(p) for p in slots.parameters] if any(momentum) else []

    def _update(self, gradients: list[Tensor], scale: float) -> None:
        direction = gradients
        if self.velocity:
            torch._foreach_mul_(self.velocity, self.momentum)
            torch._foreach_add_(self.velocity, gradients)
            direction = self.velocity
            if self.nesterov:
                direction = list(torch._foreach_addcmul(gradients, self.velocity, self.momentum))
        torch._foreach_addcmul_(self.slots.parameters, direction, self.slots.learning_rates, value=-scale)

    def memory(self) -> list[Tensor]:
        return self.velocity


class AdamRule(UpdateRule):
    """Adam: m <- b1 m + (1-b1) g, v <- b2 v + (1-b2) g^2, w <- w - lr mhat / (sqrt(vhat) + eps)."""

    def __init__(self, slots: Slots, configs: Sequence[Adam | AdamW]) -> None:
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
        torch._foreach_addcmul_(self.second, gradients, torch._foreach_mul(gradients, self.rest2))
        denominators = torch._foreach_sqrt(self.second)
        torch._foreach_mul_(denominators, inverse2)
        torch._foreach_add_(denominators, self.eps)
        rates = torch._foreach_mul(self.slots.learning_rates, inverse1)
        directions = torch._foreach_div(self.first, denominators)
        torch._foreach_addcmul_(self.slots.parameters, directions, rates, value=-scale)

    def memory(self) -> list[Tensor]:
        return [*self.first, *self.second]

    def _numbers(self, values: Sequence[float]) -> list[Tensor]:
        return [_per_trial(values, parameter) for parameter in self.slots.parameters]


def build_rule(model: Classifier, configs: Sequence[Config]) -> UpdateRule:
    """The update rule of these trials, which share its kind, over the trainable parameters of their model."""
    optimizers = [config.optimizer for config in configs]
    slots = _slots(model, configs)
    if isinstance(optimizers[0], Sgd):
        sgd = [o for o in optimizers if isinstance(o, Sgd)]
        return SgdRule(slots, [o.momentum for o in sgd], optimizers[0].nesterov)
    return AdamRule(slots, [o for o in optimizers if isinstance(o, Adam | AdamW)])


def decayed_parameters(model: Classifier, decay_biases: bool) -> list[torch.nn.Parameter]:
    """What weight decay acts on: never a feature table, and biases and batch norm only if asked to."""
    chosen = []
    for module in model.modules():
        if isinstance(module, FeatureTable):
            continue
        for name, parameter in module.named_parameters(recurse=False):
            is_weight = isinstance(module, StackedLinear) and name == "weight"
            if parameter.requires_grad and (is_weight or decay_biases):
                chosen.append(parameter)
    return chosen


def _slots(model: Classifier, configs: Sequence[Config]) -> Slots:
    decayed = {id(parameter) for parameter in decayed_parameters(model, configs[0].objective.decay_biases)}
    backbone = {id(parameter) for parameter in model.backbone.parameters()}
    parameters: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def decays(of: Callable[[Config], float]) -> list[Tensor]:
        numbers = [of(config) for config in configs]
        if not any(numbers):
            return []
        return [_per_trial(numbers if id(p) in decayed else [0.0] * len(configs), p) for p in parameters]

    factors = [[c.optimizer.backbone_lr_factor if id(p) in backbone else 1.0 for c in configs] for p in parameters]
    rates = [[c.optimizer.lr * f for c, f in zip(configs, row, strict=True)] for row in factors]
    return Slots(
        parameters=parameters,
        learning_rates=[_per_trial(row, parameter) for row, parameter in zip(rates, parameters, strict=True)],
        coupled_decays=decays(lambda config: config.objective.weight_decay),
        decoupled_decays=decays(_decoupled),
    )


def _decoupled(config: Config) -> float:
    return config.optimizer.decoupled_decay if isinstance(config.optimizer, Sgd | AdamW) else 0.0


def _per_trial(numbers: Sequence[float], like: Tensor) -> Tensor:
    """One number per trial, shaped to broadcast against a stacked parameter."""
    values = torch.tensor(numbers, dtype=like.dtype, device=like.device)
    return values.view(-1, *[1] * (like.ndim - 1))

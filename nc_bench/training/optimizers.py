"""Update rules for stacked trials: every hyperparameter is a tensor with one value per trial.

The rules are those of torch.optim's SGD, Adam and AdamW (tested equal). Coupled decay enters the gradient,
decoupled decay shrinks the parameter before the step. Parameters whose numbers agree are kept in one buffer, so that
an update passes over memory few times.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.config import Adam, AdamW, Config, DecoupledDecay, Sgd
from nc_bench.models import Classifier
from nc_bench.models.backbones import FeatureTable
from nc_bench.models.layers import StackedLinear


@dataclass(frozen=True, kw_only=True)
class Slots:
    """Trainable parameters and their numbers, each number shaped to broadcast against its parameter.

    Parameters of the model with equal numbers are `members` of one slot, whose entry (t, p) in `parameters` is their
    memory; `places` are the members' places among the model's trainable parameters. A decay that is zero for every
    parameter and trial is an empty list: it costs nothing.
    """

    members: list[list[Tensor]]
    places: list[int]
    parameters: list[Tensor]
    learning_rates: list[Tensor]
    coupled_decays: list[Tensor]
    decoupled_decays: list[Tensor]

    def gradients(self) -> list[Tensor]:
        """The members' gradients, laid out as the slots are."""
        found = []
        for members, stacked in zip(self.members, self.parameters, strict=True):
            parts = [member.grad for member in members if member.grad is not None]
            assert len(parts) == len(members), "a trainable parameter took no part in the loss"
            rows = [part.reshape(len(stacked), -1) for part in parts]
            found.append(rows[0] if len(rows) == 1 else torch.cat(rows, 1))
        return found

    def as_members(self, like_slots: list[Tensor]) -> list[Tensor]:
        """Views of tensors laid out as the slots are, in the shapes and the order of the model's parameters."""
        views: list[Tensor] = []
        for members, stacked in zip(self.members, like_slots, strict=True):
            parts = stacked.split([member.numel() // len(stacked) for member in members], 1)
            views += [part.view_as(member) for part, member in zip(parts, members, strict=True)]
        return [view for _, view in sorted(zip(self.places, views, strict=True), key=lambda pair: pair[0])]


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
        for member in chain.from_iterable(self.slots.members):
            member.grad = None

    def _gradients(self) -> list[Tensor]:
        """The gradient of every slot, coupled decay included."""
        gradients = self.slots.gradients()
        if self.slots.coupled_decays:
            gradients = list(torch._foreach_addcmul(gradients, self.slots.parameters, self.slots.coupled_decays))
        return gradients

    @abstractmethod
    def _update(self, gradients: list[Tensor], scale: float) -> None: ...

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
        return self.slots.as_members(self.velocity) if self.velocity else []


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
        return [*self.slots.as_members(self.first), *self.slots.as_members(self.second)]

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


def decayed_parameters(
    model: Classifier, decay_biases: bool
) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """What weight decay acts on, in backbone and head: no feature table, biases and batch norm only if asked to."""
    backbone: list[torch.nn.Parameter] = []
    head: list[torch.nn.Parameter] = []
    for module in model.modules():
        if isinstance(module, FeatureTable):
            continue
        for name, parameter in module.named_parameters(recurse=False):
            is_weight = isinstance(module, StackedLinear) and name == "weight"
            if parameter.requires_grad and (is_weight or decay_biases):
                (head if module is model.head else backbone).append(parameter)
    return backbone, head


def _slots(model: Classifier, configs: Sequence[Config]) -> Slots:
    decayed = {id(p) for group in decayed_parameters(model, configs[0].objective.decay_biases) for p in group}
    backbone, none = {id(parameter) for parameter in model.backbone.parameters()}, (0.0,) * len(configs)

    def numbers(parameter: Tensor) -> tuple[tuple[float, ...], ...]:
        """Learning rate, coupled and decoupled decay, each for all trials."""
        inside = id(parameter) in backbone
        rates = [c.optimizer.lr * (c.optimizer.backbone_lr_factor if inside else 1.0) for c in configs]
        decays = [(_coupled(c)[not inside], _decoupled(c)[not inside]) for c in configs]
        coupled, decoupled = zip(*decays, strict=True) if id(parameter) in decayed else (none, none)
        return tuple(rates), coupled, decoupled

    alike: dict[tuple[tuple[float, ...], ...], list[Tensor]] = {}
    trainable: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trainable:
        alike.setdefault(numbers(parameter), []).append(parameter)
    stacked = [_joined(members, len(configs)) for members in alike.values()]
    rates, coupled, decoupled = (
        [_per_trial(row, like) for row, like in zip(kind, stacked, strict=True)] if any(map(any, kind)) else []
        for kind in zip(*alike, strict=True)
    )
    place = {id(parameter): position for position, parameter in enumerate(trainable)}
    return Slots(
        members=list(alike.values()),
        places=[place[id(member)] for members in alike.values() for member in members],
        parameters=stacked,
        learning_rates=rates,
        coupled_decays=coupled,
        decoupled_decays=decoupled,
    )


def _joined(members: Sequence[Tensor], trials: int) -> Float[Tensor, "t p"]:
    """One buffer that from now on is the memory of these parameters."""
    rows = [member.detach().view(trials, -1) for member in members]
    if len(rows) == 1:
        return rows[0]
    buffer = torch.cat(rows, 1)
    for member, part in zip(members, buffer.split([row.shape[1] for row in rows], 1), strict=True):
        member.data = part.view_as(member)
    return buffer


def _coupled(config: Config) -> tuple[float, float]:
    """Of the backbone and of the head."""
    return config.objective.weight_decay, config.objective.decay_of_head


def _decoupled(config: Config) -> tuple[float, float]:
    """Of the backbone and of the head."""
    if isinstance(config.optimizer, DecoupledDecay):
        return config.optimizer.decoupled_decay, config.optimizer.decoupled_decay_of_head
    return 0.0, 0.0


def _per_trial(numbers: Sequence[float], like: Tensor) -> Float[Tensor, "t 1"]:
    return torch.tensor(numbers, dtype=like.dtype, device=like.device)[:, None]

"""The base of optimizers for stacked trials: gradients with decay and clipping, steps, state by parameter name.

Steps are those of torch.optim (tested equal). Parameters of one group share a buffer, so an update passes
over memory few times, and it computes in the buffer of the gradients: allocating memory in every step would cost more
than the arithmetic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.training.optimizers.groups import ParamGroup

State = dict[str, dict[str, Tensor]]
"""What an optimizer keeps from step to step: by kind (as torch.optim calls it), then by parameter name."""


@dataclass(frozen=True, kw_only=True)
class Closure:
    """The objective (t,) without weight decay, for an optimizer that evaluates it several times a step.

    `current` is its value at the present parameters, whose gradients are there; `evaluate` computes value and
    gradients again after the parameters were changed.
    """

    current: Callable[[], Float[Tensor, "t"]]
    evaluate: Callable[[], Float[Tensor, "t"]]


class StackedOptimizer(ABC):
    """Moves the parameters of t trials, every hyperparameter a tensor with one value per trial.

    Coupled decay is added to the gradient after clipping; decoupled decay first shrinks the parameter,
    w <- (1 - lr l) w. `clip_norms` (t,) bound the norm of each trial's gradient over all groups.
    """

    def __init__(self, groups: Sequence[ParamGroup], clip_norms: Float[Tensor, "t"] | None = None) -> None:
        self.groups, self.clip_norms = list(groups), clip_norms
        self.steps = 0
        self.buffers = [group.buffer for group in groups]
        self.learning_rates = [group.learning_rate for group in groups]

    @torch.no_grad()
    def gradient_norms(self) -> Float[Tensor, "t"]:
        """Norm of each trial's gradient over all trainable parameters: that of the batch's objective, as the last
        backward pass left it, plus coupled decay, before clipping. Stays on the device."""
        return _norms(self._gradients(clip=False))

    @torch.no_grad()
    def step(self, factor: float, closure: Closure | None = None) -> None:
        """One update of every parameter from its gradient, which is dropped afterwards.

        `factor` is the schedule's, of the learning rate. Only L-BFGS uses the closure.
        """
        self.steps += 1
        decays = [
            (g.buffer, 1 - factor * g.learning_rate * g.decoupled_decay)
            for g in self.groups
            if g.decoupled_decay is not None
        ]
        if decays:
            torch._foreach_mul_(*map(list, zip(*decays, strict=True)))
        self._update(self._gradients(clip=True), factor)
        self._drop_gradients()

    def state_dict(self) -> dict[str, Any]:
        """`step`, the number of steps taken, and `state`, whose tensors are views with an axis of trials."""
        return {"step": self.steps, "state": self._state()}

    @torch.no_grad()
    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Without momentum there is no state, and what a stack of trials keeps for one without is not used: either side
        may be empty.
        """
        self.steps = int(saved["step"])
        own, state = self._state(), saved["state"]
        assert not own or not state or own.keys() == state.keys(), f"{sorted(own)} and {sorted(state)}"
        for kind in own.keys() & state.keys():
            for name, tensor in own[kind].items():
                tensor.copy_(state[kind][name])

    @abstractmethod
    def _update(self, gradients: list[Tensor], factor: float) -> None:
        """One step from these gradients, one for each group, which are scratch space afterwards."""

    @abstractmethod
    def _state(self) -> State:
        """The state of `state_dict`: views that are saved, and written into when it is loaded."""

    def _gradients(self, *, clip: bool) -> list[Tensor]:
        """The gradient of every group, coupled decay included, which is added after clipping; until the next call."""
        for group in self.groups:
            group.copy_gradients()
        gradients = [group.gradient for group in self.groups]
        if clip and self.clip_norms is not None:
            factors = (self.clip_norms / (_norms(gradients) + 1e-6)).clamp(max=1.0)[:, None]
            torch._foreach_mul_(gradients, [factors.to(gradient) for gradient in gradients])
        decays = [(g.gradient, g.buffer, g.coupled_decay) for g in self.groups if g.coupled_decay is not None]
        if decays:
            torch._foreach_addcmul_(*map(list, zip(*decays, strict=True)))
        return gradients

    def _drop_gradients(self) -> None:
        for group in self.groups:
            for parameter in group.parameters.values():
                parameter.grad = None

    def _numbers(self, values: Sequence[float]) -> list[Tensor]:
        """One value per trial, for every group."""
        return [group.per_trial(values) for group in self.groups]

    def _by_name(self, buffers: Sequence[Tensor]) -> dict[str, Tensor]:
        """Tensors laid out as the groups' buffers, as views by parameter."""
        pairs = zip(self.groups, buffers, strict=True)
        return {name: view for group, buffer in pairs for name, view in group.split(buffer).items()}


def _norms(gradients: Sequence[Float[Tensor, "t _"]]) -> Float[Tensor, "t"]:
    """Over all groups."""
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g, dim=1) for g in gradients]), dim=0)

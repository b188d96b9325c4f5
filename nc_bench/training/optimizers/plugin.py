"""An optimizer of the user's own: any class derived from torch.optim.Optimizer, for one trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.config import PluginOptimizer
from nc_bench.plugins import load_plugin
from nc_bench.training.optimizers.base import StackedOptimizer, State
from nc_bench.training.optimizers.groups import ParamGroup

NUMBER, OF_GROUP = "number:", "group:"
"""How kinds of state begin that are numbers, which are saved as tensors, and those that belong to a group."""


class PluginStep(StackedOptimizer):
    """Gives the parameters, without an axis of trials, and their gradients to an optimizer of torch's kind.

    Learning rates of the groups, schedule, clipping, coupled and decoupled decay are those of every optimizer here: the
    plug-in gets lr and the gradients. `parameters`: by group and name, without an axis of trials, views of the groups'
    memory. A checkpoint keeps the plug-in's state: tensors, and numbers of parameters and groups.

    Raises PluginError: see `load_plugin`, and for a class that is no optimizer of torch, one whose step needs a
    closure or fails, and a state that no checkpoint can hold.
    """

    def __init__(
        self,
        groups: Sequence[ParamGroup],
        clip_norms: Float[Tensor, "t"] | None,
        settings: PluginOptimizer,
        parameters: Sequence[Mapping[str, Tensor]],
    ) -> None:
        super().__init__(groups, clip_norms)
        self.plugin = load_plugin("optimizer.name", settings.name, settings.source)
        kind = self.plugin.value
        if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
            raise self.plugin.refused("should be a class derived from torch.optim.Optimizer")
        # Decay is the bench's: what an optimizer decays by default would be known to nobody.
        offered = {"lr": settings.lr, "weight_decay": 0.0}
        self.keywords = self.plugin.keywords(settings.arguments, offered, positional=1)
        self.parameters, self.rates = parameters, [group.learning_rate.item() for group in groups]
        self._try()
        self.optimizer = self._made(parameters)

    def _made(self, parameters: Sequence[Mapping[str, Tensor]]) -> torch.optim.Optimizer:
        pairs = zip(parameters, self.rates, strict=True)
        groups = [{"params": list(group.values()), "lr": rate} for group, rate in pairs]
        made: torch.optim.Optimizer = self.plugin(groups, **self.keywords)
        return made

    def _try(self) -> None:
        """Take a step with copies of the parameters, so that what cannot be used is refused before training."""
        copies = [{name: tensor.clone() for name, tensor in group.items()} for group in self.parameters]
        for group in copies:
            for parameter in group.values():
                parameter.grad = torch.zeros_like(parameter)
        optimizer = self._made(copies)
        with self.plugin.own_errors():
            optimizer.step()
        self._state_of(optimizer, copies)

    def _update(self, gradients: list[Tensor], factor: float) -> None:
        for group, parameters, gradient in zip(self.groups, self.parameters, gradients, strict=True):
            for name, part in group.split(gradient).items():
                parameters[name].grad = part.reshape(parameters[name].shape)
        for own, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            own["lr"] = rate * factor
        with self.plugin.own_errors():
            self.optimizer.step()

    def _state(self) -> State:
        return self._state_of(self.optimizer, self.parameters)

    def _state_of(self, optimizer: torch.optim.Optimizer, parameters: Sequence[Mapping[str, Tensor]]) -> State:
        state: State = {}
        for group in parameters:
            for name, parameter in group.items():
                for kind, value in optimizer.state.get(parameter, {}).items():
                    self._keep(state, kind, name, value)
        for index, own in enumerate(optimizer.param_groups):
            for kind, value in own.items():
                if kind not in ("params", "lr") and isinstance(value, Tensor | bool | int | float):
                    self._keep(state, f"{OF_GROUP}{kind}", str(index), value)
        return state

    def _keep(self, state: State, kind: str, name: str, value: Any) -> None:
        if value is None:
            return
        if isinstance(value, bool | int | float):
            kind, value = f"{NUMBER}{kind}", torch.tensor(value, dtype=_type_of(value))
        if not isinstance(value, Tensor):
            raise self.plugin.refused(f"keeps '{kind}' as a {type(value).__name__}, which no checkpoint can hold")
        state.setdefault(kind, {})[name] = value

    @torch.no_grad()
    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.steps = int(saved["step"])
        by_name = {name: parameter for parameters in self.parameters for name, parameter in parameters.items()}
        for stated, tensors in saved["state"].items():
            kind = stated.removeprefix(NUMBER)
            for name, tensor in tensors.items():
                value = tensor.item() if stated != kind else tensor.clone()
                if kind.startswith(OF_GROUP):
                    self.optimizer.param_groups[int(name)][kind.removeprefix(OF_GROUP)] = value
                else:
                    # A count of steps stays where torch has it, on the CPU.
                    at_parameter = isinstance(value, Tensor) and value.ndim > 0
                    parameter = by_name[name]
                    self.optimizer.state[parameter][kind] = value.to(parameter.device) if at_parameter else value


def _type_of(value: float) -> torch.dtype:
    if isinstance(value, bool):
        return torch.bool
    return torch.int64 if isinstance(value, int) else torch.float64

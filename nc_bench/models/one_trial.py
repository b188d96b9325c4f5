"""Ordinary modules, whose parameters have no axis of trials, in the shape of an ensemble of one."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from nc_bench.constraints import ConstraintSet


class OneTrial(nn.Module):
    """x (1, n, ...) -> module(x[0])[None], then bounded if asked to: a backbone that is not stacked."""

    def __init__(self, module: nn.Module, bound: ConstraintSet | None = None) -> None:
        super().__init__()
        self.module, self.bound = module, bound

    def forward(self, x: Tensor) -> Float[Tensor, "1 n d"]:
        assert len(x) == 1, "not stacked over trials"
        features: Tensor = self.module(x[0])[None]
        return features if self.bound is None else self.bound(features)


def with_trial_axis(model: nn.Module, tensors: Sequence[nn.Parameter]) -> list[Tensor]:
    """Parameters of the model in the same memory, (t, ...): those inside a `OneTrial` get a leading axis of one.

    The views belong to no graph; their gradients are those of the parameters, seen the same way.
    """
    lone = {id(p) for module in model.modules() if isinstance(module, OneTrial) for p in module.parameters()}
    return [tensor.detach()[None] if id(tensor) in lone else tensor.detach() for tensor in tensors]

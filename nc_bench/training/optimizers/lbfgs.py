"""L-BFGS with a strong Wolfe line search, on the full batch: torch.optim.LBFGS, its state in tensors of fixed shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nc_bench.training.optimizers.base import Closure, StackedOptimizer, State
from nc_bench.training.optimizers.groups import ParamGroup


class StackedLBFGS(StackedOptimizer):
    """One iteration of torch.optim.LBFGS a step, for one trial; the coupled decay is part of the objective.

    It ends where the line search finds nothing lower, not at a tolerance.
    """

    def __init__(self, groups: Sequence[ParamGroup], *, lr: float, history: int) -> None:
        super().__init__(groups)
        self.lr, self.history = lr, history
        self.optimizer = torch.optim.LBFGS(
            self.buffers,
            max_iter=1,
            max_eval=26,
            history_size=history,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )
        size, like = sum(buffer.numel() for buffer in self.buffers), self.buffers[0]
        self.counts = torch.zeros(3, dtype=torch.int64)
        self.length = torch.zeros((), dtype=torch.float64)
        self.scalars = torch.zeros(1 + history, dtype=like.dtype, device=like.device)
        self.vectors = torch.zeros(2 + 2 * history, size, dtype=like.dtype, device=like.device)

    @torch.no_grad()
    def step(self, factor: float, closure: Closure | None = None) -> None:
        """One iteration from the gradients that are there, with as many evaluations as its line search needs."""
        assert closure is not None, "L-BFGS evaluates the objective along a line"
        self.steps += 1
        values = iter([closure.current()])

        def evaluate() -> Tensor:
            value = next(values, None)
            if value is None:
                self._drop_gradients()
                value = closure.evaluate()
            for buffer, gradient in zip(self.buffers, self._gradients(clip=False), strict=True):
                buffer.grad = gradient
            return value.sum() + self._penalty()

        self._unpack()
        self.optimizer.param_groups[0]["lr"] = self.lr * factor
        self.optimizer.step(evaluate)
        self._pack()
        self._drop_gradients()
        for buffer in self.buffers:
            buffer.grad = None

    def _update(self, gradients: list[Tensor], factor: float) -> None:
        raise AssertionError("L-BFGS takes no step from one gradient")

    def _penalty(self) -> Tensor | float:
        decaying = [(g.coupled_decay, g.buffer) for g in self.groups if g.coupled_decay is not None]
        return sum((decay / 2 * buffer.square()).sum() for decay, buffer in decaying)

    def _state(self) -> State:
        return {
            "lbfgs": {"counts": self.counts, "length": self.length, "scalars": self.scalars, "vectors": self.vectors}
        }

    def _unpack(self) -> None:
        """Give torch's optimizer its state back."""
        iterations, kept, evaluations = self.counts.tolist()
        steps, changes = self.vectors[2 : 2 + kept], self.vectors[2 + self.history :][:kept]
        state: dict[str, Any] = {"func_evals": evaluations, "n_iter": iterations}
        if iterations:
            state |= {"d": self.vectors[0].clone(), "t": self.length.item(), "H_diag": self.scalars[0].clone()}
            state |= {"old_stps": list(steps.clone()), "old_dirs": list(changes.clone())}
            state |= {"ro": list(self.scalars[1 : 1 + kept].clone()), "prev_flat_grad": self.vectors[1].clone()}
        self.optimizer.state[self.buffers[0]] = state

    def _pack(self) -> None:
        """Take the state from torch's optimizer into the tensors."""
        state = self.optimizer.state[self.buffers[0]]
        kept = len(state.get("old_stps", ()))
        self.counts.copy_(torch.tensor([state["n_iter"], kept, state["func_evals"]]))
        if state["n_iter"]:
            self.vectors[0], self.vectors[1] = state["d"], state["prev_flat_grad"]
            self.scalars[0] = state["H_diag"]
            self.length.fill_(float(state["t"]))
            for row in range(kept):
                self.vectors[2 + row] = state["old_stps"][row]
                self.vectors[2 + self.history + row] = state["old_dirs"][row]
                self.scalars[1 + row] = state["ro"][row]

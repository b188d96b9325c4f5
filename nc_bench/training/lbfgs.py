"""L-BFGS with a strong Wolfe line search, on the full batch: torch.optim.LBFGS, its memory kept in tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nc_bench.training.optimizers import LineSearch, UpdateRule
from nc_bench.training.slots import Slots


class LbfgsRule(UpdateRule):
    """One iteration of torch.optim.LBFGS a step, for one trial; the coupled decay is part of the objective.

    It ends where the line search finds nothing lower, not at a tolerance.
    """

    def __init__(self, slots: Slots, lr: float, history: int) -> None:
        super().__init__(slots)
        self.lr, self.history = lr, history
        self.optimizer = torch.optim.LBFGS(
            slots.parameters,
            max_iter=1,
            max_eval=26,
            history_size=history,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )
        size = sum(parameter.numel() for parameter in slots.parameters)
        like = slots.parameters[0]
        self.counts = torch.zeros(3, dtype=torch.int64)
        self.length = torch.zeros((), dtype=torch.float64)
        self.scalars = torch.zeros(1 + history, dtype=like.dtype, device=like.device)
        self.vectors = torch.zeros(2 + 2 * history, size, dtype=like.dtype, device=like.device)

    @torch.no_grad()
    def step(self, scale: float, search: LineSearch | None = None) -> None:
        """One iteration from the gradient at hand, with as many evaluations as its line search asks for."""
        assert search is not None, "L-BFGS evaluates the objective along a line"
        self.steps += 1
        values = iter([search.value()])

        def evaluate() -> Tensor:
            value = next(values, None)
            if value is None:
                self._forget_gradients()
                value = search.evaluate()
            for parameter, gradient in zip(self.slots.parameters, self._gradients(), strict=True):
                parameter.grad = gradient
            return value.sum() + self._penalty()

        self._unpack()
        self.optimizer.param_groups[0]["lr"] = self.lr * scale
        self.optimizer.step(evaluate)
        self._pack()
        self._forget_gradients()
        for parameter in self.slots.parameters:
            parameter.grad = None

    def _update(self, gradients: list[Tensor], scale: float) -> None:
        raise AssertionError("L-BFGS takes no step from one gradient")

    def _penalty(self) -> Tensor | float:
        pairs = zip(self.slots.parameters, self.slots.coupled_decays, strict=True) if self.slots.coupled_decays else ()
        return sum((decay / 2 * parameter.square()).sum() for parameter, decay in pairs)

    def memory(self) -> list[Tensor]:
        return [self.counts, self.length, self.scalars, self.vectors]

    def _unpack(self) -> None:
        """The state that torch's optimiser goes on from."""
        iterations, kept, evaluations = self.counts.tolist()
        steps, changes = self.vectors[2 : 2 + kept], self.vectors[2 + self.history :][:kept]
        state: dict[str, Any] = {"func_evals": evaluations, "n_iter": iterations}
        if iterations:
            state |= {"d": self.vectors[0].clone(), "t": self.length.item(), "H_diag": self.scalars[0].clone()}
            state |= {"old_stps": list(steps.clone()), "old_dirs": list(changes.clone())}
            state |= {"ro": list(self.scalars[1 : 1 + kept].clone()), "prev_flat_grad": self.vectors[1].clone()}
        self.optimizer.state[self.slots.parameters[0]] = state

    def _pack(self) -> None:
        state = self.optimizer.state[self.slots.parameters[0]]
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

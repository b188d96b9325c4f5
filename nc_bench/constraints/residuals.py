"""By how much features, outputs and head lie outside their sets, measured with every recording."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from nc_bench.config import Config
from nc_bench.constraints.base import ConstraintSet
from nc_bench.constraints.build import build_set
from nc_bench.metrics.gather import Gather, no_gather


class ConstraintResiduals:
    """Residuals of the bounds that were set (see `ConstraintSet`), over all batches of a measurement.

    `gather` brings together what several processes saw.
    """

    def __init__(self, configs: Sequence[Config], gather: Gather = no_gather) -> None:
        features, outputs = build_set(configs, "features"), build_set(configs, "outputs")
        self._features = None if features is None else _Accumulated(features, gather)
        self._outputs = None if outputs is None else _Accumulated(outputs, gather)
        self._head = build_set(configs, "head")

    @torch.no_grad()
    def update(self, features: Float[Tensor, "t n d"], outputs: Float[Tensor, "t n k"] | None) -> None:
        """Take in one batch; outputs may be None where no bound on them is set."""
        if self._features is not None:
            self._features.update(features)
        if self._outputs is not None:
            assert outputs is not None, "the bounded outputs are measured"
            self._outputs.update(outputs)

    @torch.no_grad()
    def compute(self, weight: Float64[Tensor, "t k d"] | None) -> dict[str, list[float]]:
        """By column name one number per trial; call it after all batches, with the head's weight, if it is bounded."""
        found = {}
        if self._features is not None:
            found["feature_residual"] = self._features.compute().tolist()
        if self._outputs is not None:
            found["output_residual"] = self._outputs.compute().tolist()
        if self._head is not None:
            assert weight is not None, "the bounded head is measured"
            head = self._head.to(weight.device)
            found["head_residual"] = head.residual(head.statistics(weight)).tolist()
        return found


class _Accumulated:
    """The statistics of one set over batches."""

    def __init__(self, constraint: ConstraintSet, gather: Gather) -> None:
        self.constraint, self.gather = constraint, gather
        self.statistics: Tensor | None = None

    def update(self, rows: Float[Tensor, "t n d"]) -> None:
        self.constraint.to(rows.device)
        batch = self.constraint.statistics(rows.double())
        self.statistics = batch if self.statistics is None else self._combined([self.statistics, batch])

    def compute(self) -> Float64[Tensor, "t"]:
        assert self.statistics is not None, "no batch was seen"
        everywhere = [theirs for (theirs,) in self.gather([self.statistics])]
        return self.constraint.residual(self._combined(everywhere))

    def _combined(self, parts: Sequence[Tensor]) -> Tensor:
        stacked = torch.stack(tuple(parts))
        return stacked.amax(0) if self.constraint.combine == "max" else stacked.sum(0)

"""Constraints on parameters: projections after initialisation and after every optimizer step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.config import Config
from nc_bench.constraints.build import build_set


class ParameterConstraints:
    """The sets that the head's weight and a table of unconstrained features are kept in.

    `table` is None for a network, which has the set of its features in its forward pass instead. `nonnegative` lists
    the parameters whose entries are kept non-negative besides. The sets are on the device of the parameters.
    """

    def __init__(
        self, configs: Sequence[Config], head: Float[Tensor, "t k d"], table: Float[Tensor, "t n d"] | None
    ) -> None:
        self.nonnegative: list[Tensor] = []
        sets = [(head, build_set(configs, "head"))]
        if table is not None:
            sets.append((table, build_set(configs, "features")))
            if configs[0].model.has_nonnegative_features:
                self.nonnegative.append(table)
        self._sets = [(parameter, its_set.to(parameter.device)) for parameter, its_set in sets if its_set is not None]

    @torch.no_grad()
    def project(self) -> None:
        """Move the parameters to the nearest points of their sets; what is inside stays the same bit for bit."""
        for parameter in self.nonnegative:
            parameter.clamp_(min=0)
        for parameter, its_set in self._sets:
            # After the clamp this is the projection on the intersection: the sets that a configuration combines with
            # `nonnegative` are symmetric in every coordinate.
            parameter.copy_(its_set.project(parameter))

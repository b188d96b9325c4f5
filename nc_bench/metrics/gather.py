"""How the sums of several processes, which hold a share of the samples each, come together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

Gather = Callable[[Sequence[Tensor]], list[list[Tensor]]]
"""From one process's tensors to those of every process, in an order on which all agree."""


def no_gather(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """The `Gather` of a process that holds all samples."""
    return [list(tensors)]

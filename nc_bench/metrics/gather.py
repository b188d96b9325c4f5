"""How sums over samples are brought together where several processes hold a share of the samples each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

Gather = Callable[[Sequence[Tensor]], list[list[Tensor]]]
"""From this process's tensors to a list of every process's, in the same order on all of them."""


def no_gather(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """The `Gather` of a process that holds all samples: its own tensors are all there are."""
    return [list(tensors)]


def sum_of(tensor: Tensor, gather: Gather) -> Tensor:
    """Sum over the processes."""
    total, *others = (part for (part,) in gather([tensor]))
    for other in others:
        total = total + other
    return total

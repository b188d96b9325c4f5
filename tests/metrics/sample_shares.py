"""Threads in place of processes, for tests of samples that several processes share."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Barrier

import torch
from torch import Tensor


class Group:
    """A group of threads in place of processes; each gathers in turn with the others."""

    def __init__(self, size: int) -> None:
        self.barrier, self.given = Barrier(size, timeout=60), [[torch.empty(0)]] * size

    def gather(self, rank: int, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        self.given[rank] = list(tensors)
        self.barrier.wait()
        found = [[tensor.clone() for tensor in tensors] for tensors in self.given]
        self.barrier.wait()
        return found

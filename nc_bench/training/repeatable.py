"""Arithmetic that comes out the same, to the last bit, when it is done again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """On a GPU, sums whose order torch leaves open are taken in one order; on a CPU they are anyway.

    To be entered before the first product on the GPU. An operation that torch has no repeatable form of runs as it is,
    and torch warns of it.
    """
    if device.type != "cuda":
        yield
        return
    # Without it cuBLAS may choose another order of the sums for the same product.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    wanted = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads memory that nobody wrote, so that filling it would only take time.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(wanted, warn_only=warned)
        memory.fill_uninitialized_memory = filled

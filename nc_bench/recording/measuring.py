"""The state in which a model is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nc_bench.metrics import full_precision


@contextmanager
def measuring(model: torch.nn.Module) -> Iterator[None]:
    """Eval mode and full precision, and everything as it was afterwards."""
    training = model.training
    model.eval()
    try:
        with full_precision(next(model.parameters()).device):
            yield
    finally:
        model.train(training)

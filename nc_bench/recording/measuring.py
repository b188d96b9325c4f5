"""The state in which a model is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def measuring(model: torch.nn.Module) -> Iterator[None]:
    """Eval mode, autocast and TF32 off, and everything as it was afterwards."""
    training, matmul = model.training, torch.backends.cuda.matmul.allow_tf32
    convolution = torch.backends.cudnn.allow_tf32
    device = next(model.parameters()).device.type
    model.eval()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.autocast(device_type=device, enabled=False):
            yield
    finally:
        model.train(training)
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.backends.cudnn.allow_tf32 = convolution

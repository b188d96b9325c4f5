"""The arithmetic that measurements are made in: a product of float32 numbers is a float32 product."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Autocast on this device, and TF32 and the like on all, are off; everything is as it was afterwards.

    Whoever measures may have switched them on for training. Products made with them keep three digits of float32's
    seven, and near ties and small distances are decided by the others.
    """
    backends: Any = torch.backends
    # allow_tf32 would raise where these names have been used, and knows nothing of the CPU.
    parts = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv)
    before = [part.fp32_precision for part in parts]
    for part in parts:
        part.fp32_precision = "ieee"
    try:
        with torch.autocast(device_type=device.type, enabled=False):
            yield
    finally:
        for part, precision in zip(parts, before, strict=True):
            part.fp32_precision = precision

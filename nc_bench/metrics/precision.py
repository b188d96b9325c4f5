"""Switches autocast and TF32 off, so that a product of float32 numbers has the precision of float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Inside the block autocast is off on this device, and TF32 on all; afterwards everything is as before.

    They may have been switched on for training. TF32 has 10 bits of mantissa where float32 has 23: relative errors of
    5e-4 and not 6e-8, which would decide which class centre is nearest and how far small distances go.
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

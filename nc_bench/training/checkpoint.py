"""Checkpoints as bytes: a trial's state with a digest, so that damage is seen and never trained on."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

MAGIC = b"nc_bench checkpoint 1\n"
DIGEST = 32


class DamagedCheckpoint(ValueError):
    """A file that is no whole checkpoint; the message names it."""


def encode(state: dict[str, Any]) -> bytes:
    """Digest and torch.save of the state."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    return MAGIC + hashlib.sha256(content).digest() + content


def decode(path: Path, device: torch.device) -> dict[str, Any]:
    """The state in a checkpoint file, on this device. Raises DamagedCheckpoint if a single bit is not as written."""
    raw = path.read_bytes()
    digest, content = raw[len(MAGIC) : len(MAGIC) + DIGEST], raw[len(MAGIC) + DIGEST :]
    if not raw.startswith(MAGIC) or hashlib.sha256(content).digest() != digest:
        raise DamagedCheckpoint(f"{path}: damaged or cut off ({len(raw)} bytes)")
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    return state

"""A module that Python code hands over: what tells it from others, and a copy of it without its head."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nc_bench.config import ConfigError, LiveModel
from nc_bench.errors import UserError
from nc_bench.handed_over import handed_over
from nc_bench.models.backbones import HeadlessModel
from nc_bench.models.headless import without_head
from nc_bench.models.linear_layers import unwrapped
from nc_bench.text import one_line

DIGITS = 16


def model_digest(model: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of a module's layers, as it prints them, and of its state as it stands.

    Raises UserError, one line, for what is no module.
    """
    if not isinstance(model, nn.Module):
        raise UserError(f"model: should be a torch.nn.Module, not a {type(model).__name__}")
    found = hashlib.sha256(repr(unwrapped(model)).encode())
    for name, value in sorted(unwrapped(model).state_dict().items()):
        found.update(f"\n{name} ".encode())
        found.update(_bytes(value) if isinstance(value, Tensor) else repr(value).encode())
    return found.hexdigest()[:DIGITS]


def live_model(config: LiveModel, shape: Sequence[int], classes: int) -> HeadlessModel:
    """A copy of the module without its head, whose weight and bias are kept to start with.

    Raises ConfigError, one line: it was not handed over to this call or cannot be copied, and as `without_head` does.
    """
    model = handed_over(config.digest)
    if model is None:
        raise ConfigError(
            f"model.name: {config.name} was handed over by Python code: give the module again (model=...), with the "
            "weights that it started from"
        )
    try:
        own = copy.deepcopy(unwrapped(model)).cpu().float()
    except Exception as error:  # whatever a module makes of being copied
        raise ConfigError(f"model.name: {config.name} cannot be copied: {one_line(error)}") from None
    return without_head(own, config.name, shape, classes)


def _bytes(tensor: Tensor) -> bytes:
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    return f"{tensor.dtype} {tuple(tensor.shape)} ".encode() + plain.view(torch.uint8).numpy().tobytes()

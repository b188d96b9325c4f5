"""What a loader yields: inputs for a model's call and labels, from pairs, mappings, or by the user's function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nc_bench.errors import UserError
from nc_bench.geometry.arrays import tensor_of
from nc_bench.text import listed

LABEL_KEYS = ("labels", "label", "targets", "target", "y")
"""Where a mapping has its labels, the first that is there."""

Unpack = Callable[[Any], Any]

HOW = (
    "yield pairs (inputs, labels) or mappings with labels, or give unpack=, a function from a batch to (inputs, labels)"
)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """How the model is called on a batch, and the labels (N,), or (N, T) where tokens or pixels have labels."""

    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    labels: Tensor


def read_batch(batch: Any, model: nn.Module, unpack: Unpack | None, device: torch.device) -> Batch:
    """The parts of a batch on the device; UserError, one line, if it has no labels or cannot be told apart.

    Inputs that are a mapping become keywords (those that the model's `forward` takes), tuples and lists positions.
    """
    inputs, labels = _pair(batch) if unpack is None else _unpacked(unpack(batch))
    if isinstance(inputs, Mapping):
        arguments, keywords = _keywords(dict(inputs), model)
    else:
        arguments, keywords = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,), {}
    dtype = next((tensor.dtype for tensor in model.parameters() if tensor.is_floating_point()), torch.float32)
    return Batch(
        arguments=tuple(_moved(part, device, dtype) for part in arguments),
        keywords={name: _moved(part, device, dtype) for name, part in keywords.items()},
        labels=tensor_of("labels", labels).to(device),
    )


def _pair(batch: Any) -> tuple[Any, Any]:
    if isinstance(batch, Mapping):
        key = next((key for key in LABEL_KEYS if key in batch), None)
        if key is None:
            names = listed([repr(name) for name in batch])
            raise UserError(f"no labels among {names or 'no keys'}: {HOW}")
        return {name: part for name, part in batch.items() if name != key}, batch[key]
    if isinstance(batch, tuple | list) and len(batch) == 2:
        return batch[0], batch[1]
    if isinstance(batch, tuple | list) and len(batch) > 2:
        raise UserError(f"{len(batch)} parts, of which the labels are not known: {HOW}")
    raise UserError(
        f"no labels in a {type(batch).__name__}{' of one part' if isinstance(batch, tuple | list) else ''}: {HOW}"
    )


def _unpacked(pair: Any) -> tuple[Any, Any]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise UserError(f"unpack must return (inputs, labels), got {type(pair).__name__}")
    return pair[0], pair[1]


def _keywords(named: dict[str, Any], model: nn.Module) -> tuple[tuple[Any, ...], dict[str, Any]]:
    parameters = inspect.signature(model.forward).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return (), named
    known = {name: part for name, part in named.items() if name in parameters}
    if known or len(named) != 1:
        return (), known
    return tuple(named.values()), {}


def _moved(part: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """Tensors on the device; NumPy arrays and pandas tables as tensors, floating ones in the model's dtype."""
    if isinstance(part, Tensor):
        return part.to(device)
    if isinstance(part, Mapping):
        return {name: _moved(value, device, dtype) for name, value in part.items()}
    if isinstance(part, tuple | list):
        return type(part)(_moved(value, device, dtype) for value in part) if type(part) in (tuple, list) else part
    if hasattr(part, "__array__") and not isinstance(part, Tensor):
        made = tensor_of("inputs", part)
        return made.to(device, dtype if made.is_floating_point() else None)
    return part

"""Whether two loaders give the same samples, in whatever order and batches: a digest of what they give."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nc_bench.recording.batches import Batch

MASK = "attention_mask"
"""What says which tokens of a batch are padding, by the name that Hugging Face gives it."""


class ContentDigest:
    """The sum of the SHA-256 of every sample, inputs and labels bit for bit: the same in any order of the samples.

    Padding that an attention mask leaves out does not count: how much there is depends on the batch. What is neither a
    tensor nor text nor a number is left out.
    """

    def __init__(self) -> None:
        self._sum = 0

    def take_in(self, batch: Batch) -> None:
        """Add the samples of a batch."""
        count = len(batch.labels) if batch.labels.ndim else 0  # labels of such a shape are refused later
        named = {**{str(place): part for place, part in enumerate(batch.arguments)}, **batch.keywords}
        parts = [*_parts(named, ""), ("labels", batch.labels.to(torch.int64))]
        masks = [part for name, part in parts if name == MASK and isinstance(part, Tensor) and part.ndim == 2]
        mask = masks[0] if masks else None
        columns = [(name.encode(), column) for name, part in parts if (column := _rows(part, count, mask)) is not None]
        for row in range(count):
            found = hashlib.sha256()
            for name, column in columns:
                found.update(name)
                found.update(column[row])
            self._sum += int.from_bytes(found.digest())

    @property
    def hexdigest(self) -> str:
        """Of all samples so far, 64 hexadecimal digits."""
        return f"{self._sum % 2**256:064x}"


def _parts(named: Mapping[Any, Any], above: str) -> Iterator[tuple[str, Any]]:
    """Every part of nested inputs with its dotted name, in the order of these."""
    for name in sorted(named, key=str):
        part = named[name]
        if isinstance(part, tuple | list) and any(isinstance(inner, Tensor | Mapping) for inner in part):
            part = dict(enumerate(part))
        if isinstance(part, Mapping):
            yield from _parts(part, f"{above}{name}.")
        else:
            yield f"{above}{name}", part


def _rows(part: Any, count: int, mask: Tensor | None) -> Any:
    """What of this part belongs to each sample, as bytes; None if nothing does."""
    if isinstance(part, Tensor):
        if part.ndim == 0 or len(part) != count:
            return [_bytes(part.reshape(1, -1))[0]] * count
        if mask is not None and part.shape[:2] == mask.shape:
            return [_bytes(row[kept.bool()].reshape(1, -1))[0] for row, kept in zip(part, mask, strict=True)]
        return _bytes(part.reshape(count, -1) if count else part)
    if isinstance(part, tuple | list) and len(part) == count and all(isinstance(value, str) for value in part):
        return [value.encode() for value in part]
    return [repr(part).encode()] * count if isinstance(part, str | int | float | bool) else None


def _bytes(rows: Tensor) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = rows.detach().cpu().contiguous().view(torch.uint8).numpy()
    return array

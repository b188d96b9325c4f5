"""Features that come batch by batch: in memory up to a budget, beyond it in a temporary file."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def checked_budget(budget: Any) -> int:
    """A number of bytes; ValueError, one line, for anything else."""
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 0:
        raise ValueError(f"budget must be a whole number of bytes, at least 0, got {budget!r:.60}")
    return budget


class FeatureStore:
    """Features (N, d) of one width and dtype, on the CPU: up to `budget` bytes in memory, beyond it all in a file.

    The file is made in `folder` (default: where the system has its temporary files). It is removed by `clear`, when the
    store is garbage, and when the process ends; where the system allows it, it has no name, so that nothing is left
    even of a process that is killed.
    """

    def __init__(self, budget: int, folder: Path | None) -> None:
        self.budget, self.folder, self.rows = budget, folder, 0
        self._none: Tensor | None = None
        self._parts: list[Tensor] = []
        self._file: BinaryIO | None = None
        self._close: Callable[[], object] = _nothing_to_close

    @property
    def spilled(self) -> bool:
        """Whether the features are in a file."""
        return self._file is not None

    @property
    def none(self) -> Float[Tensor, "0 d"] | None:
        """No rows, with the width and dtype of those that came; None before any came."""
        return self._none

    def append(self, features: Float[Tensor, "n d"]) -> None:
        """Keep a copy of these rows. OSError where the disk is full: the store is then as it was before."""
        if self._none is None:
            self._none = torch.empty(0, features.shape[1], dtype=features.dtype)
        if not len(features):
            return
        if self._file is None and (self.rows + len(features)) * self._row_bytes() <= self.budget:
            self._parts.append(features.to("cpu", copy=True, memory_format=torch.contiguous_format))
        else:
            self._write([*self._parts, features])
            self._parts = []
        self.rows += len(features)

    def tensor(self) -> Float[Tensor, "n d"] | None:
        """All rows, those in a file mapped into memory, not read; None before any came. Not to be written to."""
        if self._none is None:
            return None
        if self._file is not None:
            mapped = np.memmap(self._file, np.uint8, mode="r+", shape=(self.rows * self._row_bytes(),))
            return torch.from_numpy(mapped).view(self._none.dtype).view(self.rows, -1)
        if len(self._parts) != 1:
            self._parts = [self._joined()]
        return self._parts[0]

    def clear(self) -> None:
        """Forget all rows, and remove the file."""
        self._close()
        self.rows, self._none, self._parts, self._file, self._close = 0, None, [], None, _nothing_to_close

    def _row_bytes(self) -> int:
        assert self._none is not None
        return self._none.shape[1] * self._none.dtype.itemsize

    def _joined(self) -> Tensor:
        """The parts as one; each is freed once it is copied."""
        assert self._none is not None
        joined = self._none.new_empty(self.rows, self._none.shape[1])
        start, parts = 0, self._parts[::-1]
        self._parts = []
        while parts:
            part = parts.pop()
            joined[start : start + len(part)] = part
            start += len(part)
        return joined

    def _write(self, parts: Sequence[Tensor]) -> None:
        if self._file is None:
            # Without a buffer: what a full disk does not take must not be written later.
            self._file = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115
            self._close = weakref.finalize(self, self._file.close)
        end = self._file.seek(0, os.SEEK_END)
        try:
            for part in parts:
                _write_all(self._file, part)
        except OSError:
            self._file.truncate(end)
            raise

    def __getstate__(self) -> dict[str, Any]:
        return {"budget": self.budget, "folder": self.folder, "features": self.tensor()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["budget"], state["folder"])  # type: ignore[misc]
        if state["features"] is not None:
            self.append(state["features"])


def _write_all(file: BinaryIO, features: Tensor) -> None:
    content = features.contiguous().cpu().view(torch.uint8).numpy().data.cast("B")
    while content:
        content = content[file.write(content) :]


def _nothing_to_close() -> None:
    pass

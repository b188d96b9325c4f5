"""Images as bytes, standardised where they are used: all at once for a set held in memory, or by the batch."""

from __future__ import annotations

import dataclasses
import math
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nc_bench.distributed import usable_cores
from nc_bench.errors import DataError

BLOCK = 1024


@runtime_checkable
class PixelSource(Protocol):
    """Images (c, h, w) of bytes, or samples of numbers, by their number."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample; of an image channels, height, width."""
        ...

    def __len__(self) -> int: ...

    def read(self, indices: Sequence[int]) -> Tensor:
        """DataError, one line that names the file, for an image that cannot be read."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelArray:
    """Images that lie in memory as bytes."""

    pixels: UInt8[Tensor, "n c h w"]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.pixels.shape[1:])

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, indices: Sequence[int]) -> UInt8[Tensor, "n c h w"]:
        return self.pixels[torch.as_tensor(indices)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """The `chosen` images of a source, standardised: `levels[channel, byte]` is the value of a pixel.

    Without levels they are samples of any shape that are numbers already, and taken as they are.

    `batches` and `split` read ahead in `workers` processes (at most one for each core; 0: in this process) and put
    the result on `device` in `dtype`. A value is one of the 256 of its channel, so it is the same to the last bit
    whether an image is held in memory or read again in every epoch.
    """

    source: PixelSource
    levels: Float[Tensor, "c 256"] | None
    chosen: Int64[Tensor, "n"]
    workers: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, c, h, w), or N and the shape of a sample."""
        return len(self.chosen), *self.source.shape

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, rows: slice) -> Tensor:
        """Some of the images, read now."""
        return self._standardised(self.source.read(self.chosen[rows].tolist()))

    @property
    def bytes(self) -> int:
        """Memory that all of them take as float32 numbers."""
        return math.prod(self.shape) * torch.float32.itemsize

    def select(self, indices: Tensor | slice) -> Images:
        """The images of these numbers, or those where a mask is true, in that order."""
        return dataclasses.replace(self, chosen=self.chosen[indices])

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Images:
        """The same images, to be put on another device in another floating-point type."""
        levels = None if self.levels is None else self.levels.to(device=device, dtype=dtype)
        return dataclasses.replace(self, levels=levels, device=torch.device(device), dtype=dtype)

    def to_tensor(self) -> Tensor:
        """All of them as one tensor (N, c, h, w)."""
        held = torch.empty(self.shape, dtype=self.dtype, device=self.device)
        for start, block in zip(range(0, len(self), BLOCK), self.split(BLOCK) if len(self) else (), strict=True):
            held[start : start + BLOCK] = block
        return held

    def pixels(self) -> Iterator[Tensor]:
        """All of them in their order as the source has them, images as bytes, BLOCK at a time."""
        yield from self._read([part.tolist() for part in torch.arange(len(self)).split(BLOCK)])

    def split(self, rows: int) -> Iterator[Tensor]:
        """All of them in their order, this many at a time."""
        for pixels in self._read([part.tolist() for part in torch.arange(len(self)).split(rows)]):
            yield self._standardised(pixels)

    def batches(self, batches: Sequence[Int64[Tensor, "t _"]]) -> Iterator[Tensor]:
        """The images (t, b, c, h, w) of every batch of numbers."""
        read = self._read([batch.flatten().tolist() for batch in batches])
        for batch, pixels in zip(batches, read, strict=True):
            yield self._standardised(pixels).view(*batch.shape, *self.source.shape)

    def _read(self, batches: Sequence[list[int]]) -> Iterator[Tensor]:
        loader: DataLoader[Tensor | DataError] = DataLoader(
            _Reader(self.source, self.chosen),
            batch_sampler=batches,
            collate_fn=_uncollated,
            num_workers=min(self.workers, usable_cores(), len(batches)),
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_leave_signals_to_the_main_process,
            # Without one of its own the loader would draw from torch's global generator.
            generator=torch.Generator(),
        )
        for pixels in loader:
            if isinstance(pixels, DataError):
                raise pixels
            yield pixels

    def _standardised(self, pixels: Tensor) -> Tensor:
        if self.levels is None:
            return pixels.to(device=self.device, dtype=self.dtype, non_blocking=True)
        first = 256 * torch.arange(len(self.levels), device=self.device)[:, None, None]
        return self.levels.flatten()[pixels.to(self.device, non_blocking=True).long() + first]


def training_batches(inputs: Tensor | Images, batches: Sequence[Int64[Tensor, "t _"]]) -> Iterator[Tensor]:
    """The inputs (t, b, ...) of every batch of numbers: indexed where they are held, else read ahead."""
    if isinstance(inputs, Images):
        yield from inputs.batches(batches)
    else:
        for batch in batches:
            yield inputs.index_select(0, batch.flatten()).view(*batch.shape, *inputs.shape[1:])


def select_rows(inputs: Tensor | Images, rows: slice | Tensor) -> Tensor | Images:
    """Some of the inputs: by a slice, their numbers or a mask. Images are not read."""
    return inputs.select(rows) if isinstance(inputs, Images) else inputs[rows]


def levels_from_images(blocks: Iterable[UInt8[Tensor, "_ c h w"]]) -> Float32[Tensor, "c 256"]:
    """The table (x/255 - mean) / std of every byte x, by the mean and population standard deviation of each channel.

    Computed in float64 from the counts of the bytes, so that it does not depend on the blocks. A constant channel is
    centred only.
    """
    counts = sum(np.stack([np.bincount(c.ravel(), minlength=256) for c in b.numpy().swapaxes(0, 1)]) for b in blocks)
    levels = np.arange(256) / 255.0
    means, stds = [], []
    for channel in np.atleast_2d(counts):
        mean = np.average(levels, weights=channel)
        std = np.sqrt(np.average((levels - mean) ** 2, weights=channel))
        means.append(float(mean))
        stds.append(float(std) if std > 0 else 1.0)
    return levels_from_statistics(means, stds)


def levels_from_statistics(means: Sequence[float], stds: Sequence[float]) -> Float32[Tensor, "c 256"]:
    """The table (x/255 - mean) / std of every byte x, with the mean and standard deviation stated for each channel."""
    levels = torch.arange(256, dtype=torch.float64) / 255.0
    return torch.stack([((levels - mean) / std).float() for mean, std in zip(means, stds, strict=True)])


class _Reader(Dataset[Tensor | DataError]):
    """What a worker of the loader reads. A DataError is returned as a value: the loader would change its message."""

    def __init__(self, source: PixelSource, chosen: Tensor) -> None:
        self.source, self.chosen = source, chosen

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitems__(self, indices: list[int]) -> Tensor | DataError:
        try:
            return self.source.read(self.chosen[indices].tolist())
        except DataError as error:
            return error


def _uncollated(batch: Any) -> Any:
    return batch


def _leave_signals_to_the_main_process(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

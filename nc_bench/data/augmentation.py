"""Random flips and shifts of training images, as operations on whole batches on their own device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from nc_bench.config import Augment
from nc_bench.rng import Stream, generator


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What happens to every training sample of every trial in one epoch: a flip, a shift in 0..2 padding per axis."""

    padding: int
    flips: Bool[Tensor, "t n"]
    shifts: Int64[Tensor, "t n 2"]

    @classmethod
    def of_epoch(
        cls, settings: Augment, seeds: Sequence[int], samples: int, epoch: int, device: torch.device
    ) -> Augmentation:
        """Drawn from ``generator(seed, Stream.AUGMENTATION, epoch)`` for every trial's seed, sample by sample.

        So it depends neither on the size of a batch, nor on its place in the epoch, nor on what ran before.
        """
        flips, shifts = [], []
        for seed in seeds:
            draw = generator(seed, Stream.AUGMENTATION, epoch)
            flips.append(torch.rand(samples, generator=draw) < (0.5 if settings.flip else 0.0))
            shifts.append(torch.randint(2 * settings.crop_padding + 1, (samples, 2), generator=draw))
        return cls(
            padding=settings.crop_padding,
            flips=torch.stack(flips).to(device),
            shifts=torch.stack(shifts).to(device),
        )

    def __call__(self, images: Float[Tensor, "t b c h w"], batch: Int64[Tensor, "t b"]) -> Float[Tensor, "t b c h w"]:
        """These samples cut out of their images in a frame of zeros, which is the mean colour, and mirrored or not."""
        channels, height, width = images.shape[2:]
        padded = F.pad(images.flatten(0, 1), (self.padding,) * 4)
        shifts = self.shifts.gather(1, batch[..., None].expand(-1, -1, 2)).flatten(0, 1)
        rows, columns = (
            shifts[:, axis, None] + torch.arange(side, device=images.device) for axis, side in ((0, height), (1, width))
        )
        columns = torch.where(self.flips.gather(1, batch).flatten()[:, None], columns.flip(1), columns)
        cut = padded.gather(2, rows[:, None, :, None].expand(-1, channels, -1, padded.shape[-1]))
        return cut.gather(3, columns[:, None, None, :].expand(-1, channels, height, -1)).view_as(images)

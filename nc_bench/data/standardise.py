"""The value of every byte of every channel, standardised by a training split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor


def levels_of(blocks: Iterable[UInt8[Tensor, "_ c h w"]]) -> Float32[Tensor, "c 256"]:
    """(x/255 - mean) / std of every byte x, with each channel's mean and population standard deviation over all pixels.

    Computed in float64 from the counts of the bytes, so in whatever blocks the images come. A constant channel is
    centred only.
    """
    counts = sum(np.stack([np.bincount(c.ravel(), minlength=256) for c in b.numpy().swapaxes(0, 1)]) for b in blocks)
    levels = np.arange(256) / 255.0
    means, stds = [], []
    for channel in np.atleast_2d(counts):
        centre = np.average(levels, weights=channel)
        spread = np.sqrt(np.average((levels - centre) ** 2, weights=channel))
        means.append(float(centre))
        stds.append(float(spread) if spread > 0 else 1.0)
    return levels_by(means, stds)


def levels_by(means: Sequence[float], stds: Sequence[float]) -> Float32[Tensor, "c 256"]:
    """(x/255 - mean) / std of every byte x by stated numbers for each channel."""
    levels = np.arange(256) / 255.0
    rows = [((levels - mean) / std).astype(np.float32) for mean, std in zip(means, stds, strict=True)]
    return torch.from_numpy(np.stack(rows))

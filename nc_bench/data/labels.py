"""Random, uniform and noisy training labels."""

from __future__ import annotations

import math

import torch
from jaxtyping import Int64
from torch import Tensor

from nc_bench.config import Data
from nc_bench.errors import DataError
from nc_bench.rng import Stream, generator


def training_labels(settings: Data, labels: Int64[Tensor, "n"], classes: int, seed: int) -> Int64[Tensor, "n"]:
    """The labels that are trained on, drawn from ``generator(seed, Stream.LABELS)``; the true ones untouched.

    Raises DataError where a class that had samples is left without one.
    """
    if settings.labels == "original" and settings.label_noise == 0:
        return labels
    draw = generator(seed, Stream.LABELS)
    if settings.labels == "random":
        return random_labels(labels, draw)
    if settings.labels == "uniform":
        changed, key = uniform_labels(labels, classes, draw), "data.labels"
    else:
        changed, key = noisy_labels(labels, classes, settings.label_noise, draw), "data.label_noise"
    before, after = (torch.bincount(some, minlength=classes) for some in (labels, changed))
    emptied = torch.nonzero((after == 0) & (before > 0)).flatten()
    if len(emptied) > 0:
        raise DataError(f"{key}: class {int(emptied[0])} is left without a training sample (seed {seed})")
    return changed


def random_labels(labels: Int64[Tensor, "n"], draw: torch.Generator) -> Int64[Tensor, "n"]:
    """The same labels in random order, so that every class keeps its size and says nothing of the inputs.

    The permutation is drawn on the generator's device and is the same wherever the labels lie.
    """
    order = torch.randperm(len(labels), generator=draw, device=draw.device)
    return labels[order.to(labels.device)]


def uniform_labels(labels: Int64[Tensor, "n"], classes: int, draw: torch.Generator) -> Int64[Tensor, "n"]:
    """As many labels, each drawn uniformly from 0..classes-1 (Zhang et al. 2017): class sizes are multinomial."""
    return torch.randint(classes, labels.shape, generator=draw, device=draw.device).to(labels.device)


def noisy_labels(labels: Int64[Tensor, "n"], classes: int, share: float, draw: torch.Generator) -> Int64[Tensor, "n"]:
    """floor(share n + 1/2) of the labels, drawn without replacement, moved to one of the other classes uniformly.

    The samples that are moved at a share are moved to the same classes at every larger share.
    """
    order = torch.randperm(len(labels), generator=draw, device=draw.device)
    shifts = torch.randint(1, classes, labels.shape, generator=draw, device=draw.device)
    moved = order[: math.floor(share * len(labels) + 0.5)].to(labels.device)
    changed = labels.clone()
    changed[moved] = (labels[moved] + shifts[: len(moved)].to(labels.device)) % classes
    return changed

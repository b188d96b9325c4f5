"""Which samples of a data set are used: classes, samples per class, sizes of the training classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

from nc_bench.config import (
    Balance,
    Data,
)
from nc_bench.data.dataset import Dataset
from nc_bench.data.images import select_rows
from nc_bench.errors import DataError
from nc_bench.rng import Stream, generator
from nc_bench.text import did_you_mean

TRAIN, TEST = 0, 1


def select(data: Dataset, settings: Data) -> Dataset:
    """The samples that `settings` choose, in the order they have in `data`; the classes kept become 0..K-1.

    Samples of a class are drawn without replacement from ``generator(settings.seed, Stream.SELECTION, split)``, so
    they are the same for every seed of a run. Inputs are indexed only where not all of them are kept.

    Raises DataError for a class that does not exist or has too few samples for the settings, class sizes for another
    number of classes, and a class that is left without a training sample.
    """
    if settings.kept_classes is not None:
        data = _keep_classes(data, settings.kept_classes)
    for split, key in ((TRAIN, "data.samples_per_class"), (TEST, "data.test_samples_per_class")):
        if (per_class := settings.chosen_per_class[split]) is not None:
            data = _choose(data, (per_class,) * data.classes, settings.seed, split, key)
    if 0 in data.class_counts:
        raise DataError(f"data.name={data.name}: class {data.class_counts.index(0)} has no training samples")
    sizes = class_sizes(settings.balance, data.class_counts)
    if sizes != data.class_counts:
        data = _choose(data, sizes, settings.seed, TRAIN, "data.balance")
    return data


def class_sizes(balance: Balance, counts: Sequence[int]) -> tuple[int, ...]:
    """Training samples of every class, given how many there are; fractions are rounded to the nearest integer.

    With n = min(counts) and K classes. step: n for the first classes, n / ratio for the last `minority_classes`.
    exponential: n ratio^(-k/(K-1)) for k = 0..K-1. counts: as stated.

    Raises DataError where a class is left without a sample, a step has no majority, or counts are stated for another
    number of classes.
    """
    if problem := balance.problem(len(counts)):
        raise DataError(f"data.balance.{problem}")
    sizes = balance.sizes(counts)
    if 0 in sizes:
        raise DataError(f"data.balance: class {sizes.index(0)} is left without a training sample")
    return sizes


def _keep_classes(data: Dataset, listed: Sequence[int | str]) -> Dataset:
    kept = [_number_of(data, label) for label in listed]
    if len(set(kept)) < len(kept):
        raise DataError("data.keep_classes: should not list a class twice, by number and by name")
    outside = [label for label in kept if label >= data.classes]
    if outside:
        raise DataError(f"data.keep_classes: {outside[0]} is not one of the classes 0..{data.classes - 1}")
    place = torch.full((data.classes,), -1)
    place[list(kept)] = torch.arange(len(kept))
    train, test = place[data.train_labels], place[data.test_labels]
    return dataclasses.replace(
        data,
        classes=len(kept),
        train_inputs=select_rows(data.train_inputs, train >= 0),
        train_labels=train[train >= 0],
        test_inputs=select_rows(data.test_inputs, test >= 0),
        test_labels=test[test >= 0],
        class_names=None if data.class_names is None else tuple(data.class_names[label] for label in kept),
    )


def _number_of(data: Dataset, label: int | str) -> int:
    if isinstance(label, int):
        return label
    if data.class_names is None:
        raise DataError(f"data.keep_classes: {label} given, but the classes of {data.name} have no names")
    if label not in data.class_names:
        hint = did_you_mean(label, data.class_names)
        raise DataError(f"data.keep_classes: {label} is not the name of a class{f'; {hint}' if hint else ''}")
    return data.class_names.index(label)


def _choose(data: Dataset, sizes: Sequence[int], seed: int, split: int, key: str) -> Dataset:
    labels = (data.train_labels, data.test_labels)[split]
    chosen = _draw(labels, sizes, generator(seed, Stream.SELECTION, split), key)
    if split == TRAIN:
        return dataclasses.replace(
            data, train_inputs=select_rows(data.train_inputs, chosen), train_labels=labels[chosen]
        )
    return dataclasses.replace(data, test_inputs=select_rows(data.test_inputs, chosen), test_labels=labels[chosen])


def _draw(labels: Int64[Tensor, "n"], sizes: Sequence[int], draw: torch.Generator, key: str) -> Int64[Tensor, "m"]:
    parts = []
    for label, size in enumerate(sizes):
        members = torch.nonzero(labels == label).flatten()
        if size > len(members):
            raise DataError(f"{key}: takes {size} samples of class {label}, which has {len(members)}")
        parts.append(members[torch.randperm(len(members), generator=draw)[:size]])
    return torch.cat(parts).sort().values

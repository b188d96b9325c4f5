"""From the settings of a data set to its tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from nc_bench.config import (
    Arrays,
    Augment,
    Data,
    Digits,
    Downloaded,
    FolderOfImages,
    GaussianMixture,
    HuggingFace,
    LiveData,
    Noise,
    PluginData,
    ReadByBatch,
)
from nc_bench.data.archives import load_archive
from nc_bench.data.arrays import load_arrays
from nc_bench.data.dataset import Dataset
from nc_bench.data.digest import data_digest
from nc_bench.data.digits import load_digits
from nc_bench.data.folders import load_folders
from nc_bench.data.hugging_face import load_hugging_face
from nc_bench.data.images import Images
from nc_bench.data.live import load_live
from nc_bench.data.mnist import load_mnist
from nc_bench.data.plugin import load_plugin_data
from nc_bench.data.selection import select
from nc_bench.data.synthetic import gaussian_mixture
from nc_bench.errors import DataError
from nc_bench.paths import expanded

DOWNLOADED: dict[str, tuple[Callable[..., Dataset], str, int]] = {
    "mnist": (load_mnist, "MNIST", 10),
    "fashion_mnist": (load_mnist, "FashionMNIST", 10),
    "cifar10": (load_archive, "CIFAR10", 10),
    "cifar100": (load_archive, "CIFAR100", 100),
    "svhn": (load_archive, "SVHN", 10),
    "stl10": (load_archive, "STL10", 10),
}
"""What reads the files of each data set that torchvision knows, torchvision's class for it, and its classes."""

MADE = (GaussianMixture, Noise)
"""Data that follow from the configuration, so that nothing can change them from outside."""

GIGABYTE = 10**9


def load_dataset(settings: Data) -> Dataset:
    """The selected samples with their true labels, on the CPU, in a type that holds their values exactly.

    Inputs are standardised by the whole training split, before samples are selected. Images are held as tensors if
    those selected fit in `settings.memory_gb` as float32 numbers, both splits together, and else read by the batch.

    Raises DataError for data that is missing, damaged, cannot be fetched or has fewer samples than the settings take.
    """
    data = select(LOADERS[type(settings)](settings), settings)
    data = dataclasses.replace(data, digest=data_digest(data, made=isinstance(settings, MADE)))
    if not (isinstance(data.train_inputs, Images) and isinstance(data.test_inputs, Images)):
        return data
    train, test = data.train_inputs, data.test_inputs
    assert isinstance(settings, ReadByBatch)
    if settings.augments:
        _check_augment(settings.augment, train)
    if train.bytes + test.bytes <= settings.memory_gb * GIGABYTE:
        return dataclasses.replace(data, train_inputs=train.to_tensor(), test_inputs=test.to_tensor())
    train, test = (dataclasses.replace(inputs, workers=settings.workers) for inputs in (train, test))
    return dataclasses.replace(data, train_inputs=train, test_inputs=test)


def _check_augment(augment: Augment, images: Images) -> None:
    if len(images.shape) != 4:
        raise DataError("data.augment: needs images (channels, height, width)")
    side, padding = min(images.shape[2:]), augment.crop_padding
    if padding >= side:
        raise DataError(
            f"data.augment.crop_padding: {padding}, but images have {images.shape[3]} x {images.shape[2]} pixels: a "
            f"shift by {side} leaves nothing of them"
        )


def _downloaded(settings: Downloaded) -> Dataset:
    load, reader, classes = DOWNLOADED[settings.name]
    root = expanded(settings.root, key="data.root", error=DataError)
    return load(name=settings.name, reader=reader, classes=classes, root=root, download=settings.download)


LOADERS: dict[type, Callable[[Any], Dataset]] = {
    Digits: lambda _: load_digits(),
    Arrays: load_arrays,
    Downloaded: _downloaded,
    FolderOfImages: load_folders,
    GaussianMixture: gaussian_mixture,
    HuggingFace: load_hugging_face,
    LiveData: load_live,
    Noise: gaussian_mixture,
    PluginData: load_plugin_data,
}
"""What reads or makes all samples of a data set, by the class of its settings."""

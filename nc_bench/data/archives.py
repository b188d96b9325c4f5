"""CIFAR, SVHN and STL-10 in their own file formats, read and fetched by torchvision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nc_bench.data.cifar import cifar_names, read_cifar
from nc_bench.data.dataset import Dataset
from nc_bench.data.files import check_published, fetch, status
from nc_bench.data.images import BLOCK, Images, PixelArray, levels_from_images
from nc_bench.errors import DataError
from nc_bench.paths import printable


def load_archive(*, name: str, reader: str, classes: int, root: Path, download: bool) -> Dataset:
    """The labelled training and test images that torchvision's class `reader` finds under `root`.

    The MD5 of every file is compared with the one torchvision states. Pixels are standardised channel by channel by the
    training split (see `levels_from_images`). Files that are the published ones are never downloaded again.

    Raises DataError, one line, if a file is missing and not to be downloaded, a download fails, or a file is not the
    published one.
    """
    # Slow to import, and only these data sets need it.
    from nc_bench.vision import torchvision

    images = getattr(torchvision.datasets, reader)
    digests = _files(images, root)
    missing = [path for path in digests if status(path) is None]
    if missing and download:
        fetch(name, root, digests, lambda folder: _download(images, folder))
    elif missing:
        first = next(iter(digests))
        raise DataError(
            f"data.name={name}: looked for {', '.join(path.name for path in digests)} in {printable(first.parent)}, "
            f"{len(missing)} of them missing (first: {missing[0].name}); set data.root to the folder that holds them "
            "as torchvision puts them, or data.download=true"
        )
    check_published(name, digests)
    read = read_cifar if hasattr(images, "meta") else _read
    (train, train_labels), (test, test_labels) = (read(images, root, split) for split in ("train", "test"))
    levels = levels_from_images(train.split(BLOCK))
    return Dataset(
        name=name,
        classes=classes,
        train_inputs=Images(source=PixelArray(pixels=train), levels=levels, chosen=torch.arange(len(train))),
        train_labels=train_labels,
        test_inputs=Images(source=PixelArray(pixels=test), levels=levels, chosen=torch.arange(len(test))),
        test_labels=test_labels,
        class_names=cifar_names(images, root) if hasattr(images, "meta") else None,
    )


def _files(reader: Any, root: Path) -> dict[Path, str]:
    """MD5 of every file that the reader wants, by its path."""
    if hasattr(reader, "split_list"):
        return {root / file: md5 for _, file, md5 in (reader.split_list[split] for split in ("train", "test"))}
    meta = [(reader.meta["filename"], reader.meta["md5"])] if hasattr(reader, "meta") else []
    listed = [*reader.train_list, *reader.test_list, *meta]
    return {root / reader.base_folder / file: md5 for file, md5 in listed}


def _download(reader: Any, folder: str) -> None:
    for split in ("train", "test"):
        chosen = {"train": split == "train"} if hasattr(reader, "meta") else {"split": split}
        reader(folder, **chosen, download=True)


def _read(reader: Any, root: Path, split: str) -> tuple[Tensor, Tensor]:
    data = reader(root, split=split)
    labels = np.array(data.labels, dtype=np.int64)
    return torch.from_numpy(np.ascontiguousarray(data.data)), torch.from_numpy(labels)

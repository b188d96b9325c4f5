"""CIFAR, SVHN and STL-10 in their own file formats, read and fetched by torchvision."""

from __future__ import annotations

import hashlib
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nc_bench.data.dataset import Dataset
from nc_bench.data.images import BLOCK, Images, PixelArray, levels_from_images
from nc_bench.errors import DataError
from nc_bench.text import one_line


def load_archive(*, name: str, reader: str, classes: int, root: Path, download: bool) -> Dataset:
    """The labelled training and test images that torchvision's class `reader` finds under `root`.

    The MD5 of every file is compared with the one torchvision states. Pixels are standardised channel by channel by the
    training split (see `levels_from_images`). Files that are undamaged are never downloaded again.

    Raises DataError if a file is missing and not to be downloaded, a download fails, or a file is damaged.
    """
    # Slow to import, and only these data sets need it.
    from nc_bench.vision import torchvision

    images = getattr(torchvision.datasets, reader)
    files = _files(images, root)
    if download and not all(_undamaged(path, md5) for path, md5 in files):
        _download(name, images, root)
    if missing := [path for path, _ in files if not path.is_file()]:
        names, folder = ", ".join(path.name for path, _ in files), files[0][0].parent
        raise DataError(
            f"data.name={name}: looked for {names} in {folder}, {len(missing)} of them missing "
            f"(first: {missing[0].name}); set data.root to the folder that holds them as torchvision puts them, or "
            "data.download=true"
        )
    for path, md5 in files:
        if not _undamaged(path, md5):
            raise DataError(
                f"{path}: damaged (its MD5 is not {md5}); delete it and fetch it again (data.download=true)"
            )
    (train, train_labels), (test, test_labels) = (_read(images, root, split) for split in ("train", "test"))
    levels = levels_from_images(train.split(BLOCK))
    return Dataset(
        name=name,
        classes=classes,
        train_inputs=Images(source=PixelArray(pixels=train), levels=levels, chosen=torch.arange(len(train))),
        train_labels=train_labels,
        test_inputs=Images(source=PixelArray(pixels=test), levels=levels, chosen=torch.arange(len(test))),
        test_labels=test_labels,
    )


def _files(reader: Any, root: Path) -> list[tuple[Path, str]]:
    """Path and MD5 sum of every file that the reader wants."""
    if hasattr(reader, "split_list"):
        return [(root / file, md5) for _, file, md5 in (reader.split_list[split] for split in ("train", "test"))]
    meta = [(reader.meta["filename"], reader.meta["md5"])] if hasattr(reader, "meta") else []
    return [(root / reader.base_folder / file, md5) for file, md5 in [*reader.train_list, *reader.test_list, *meta]]


def _undamaged(path: Path, md5: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == md5


def _arguments(reader: Any, split: str) -> dict[str, Any]:
    return {"train": split == "train"} if hasattr(reader, "meta") else {"split": split}


def _download(name: str, reader: Any, root: Path) -> None:
    try:
        for split in ("train", "test"):
            reader(root, **_arguments(reader, split), download=True)
    except (RuntimeError, OSError, HTTPException) as error:
        raise DataError(
            f"data.name={name}: download into {root} failed: {one_line(error)}; put the files there by hand, or set "
            "data.root to a folder that has them"
        ) from error


def _read(reader: Any, root: Path, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    data = reader(root, **_arguments(reader, split))
    pixels = data.data.transpose(0, 3, 1, 2) if data.data.shape[-1] == 3 else data.data
    labels = data.targets if hasattr(data, "targets") else data.labels
    return torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(np.array(labels, dtype=np.int64))

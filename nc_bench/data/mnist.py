"""MNIST and Fashion-MNIST: four IDX files in one folder, fetched by torchvision when asked to."""

from __future__ import annotations

import struct
from http.client import HTTPException
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nc_bench.data.dataset import Dataset
from nc_bench.data.images import BLOCK, Images, PixelArray, levels_from_images
from nc_bench.errors import DataError
from nc_bench.text import one_line

SIDE = 28
TRAIN_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST_FILES = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

UNSIGNED_BYTE = 8
"""How the header of an IDX file names the type of its entries."""

REMEDY = "delete it and fetch it again (data.download=true)"


def load_mnist(*, name: str, reader: str, classes: int, root: Path, download: bool) -> Dataset:
    """Images (N, 1, 28, 28) from ``root/reader/raw``, where torchvision's class `reader` puts them.

    Pixels are (x/255 - mean) / std with the training split's mean and population standard deviation over
    all pixels, computed in float64. Files that are all there are never downloaded again, and torchvision is
    then not imported.

    Raises DataError if a file is missing and not to be downloaded, a download fails, or a file is damaged.
    """
    raw = root / reader / "raw"
    if download and _missing(raw):
        _download(name, reader, root)
    if missing := _missing(raw):
        raise DataError(
            f"data.name={name}: looked for {', '.join(TRAIN_FILES + TEST_FILES)} in {raw}, "
            f"{len(missing)} of them missing (first: {missing[0]}); set data.root to the folder that holds "
            f"{reader}/raw, or data.download=true"
        )
    train_images, train_labels = _read_split(raw, TRAIN_FILES, classes)
    test_images, test_labels = _read_split(raw, TEST_FILES, classes)
    train, test = (torch.from_numpy(images.copy()).unsqueeze(1) for images in (train_images, test_images))
    levels = levels_from_images(train.split(BLOCK))
    return Dataset(
        name=name,
        classes=classes,
        train_inputs=Images(source=PixelArray(pixels=train), levels=levels, chosen=torch.arange(len(train))),
        train_labels=torch.from_numpy(train_labels.astype(np.int64)),
        test_inputs=Images(source=PixelArray(pixels=test), levels=levels, chosen=torch.arange(len(test))),
        test_labels=torch.from_numpy(test_labels.astype(np.int64)),
    )


def _missing(raw: Path) -> list[str]:
    return [file for file in TRAIN_FILES + TEST_FILES if not (raw / file).is_file()]


def _download(name: str, reader: str, root: Path) -> None:
    # Slow to import, and only a download needs it.
    from nc_bench.vision import torchvision

    try:
        getattr(torchvision.datasets, reader)(root, download=True)
    except (RuntimeError, OSError, HTTPException) as error:
        raise DataError(
            f"data.name={name}: download into {root / reader / 'raw'} failed: {one_line(error)}; put the files there "
            "by hand, or set data.root to a folder that has them"
        ) from error


def _read_split(raw: Path, files: tuple[str, str], classes: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = read_idx(raw / files[0], axes=3), read_idx(raw / files[1], axes=1)
    if images.shape[1:] != (SIDE, SIDE):
        raise DataError(f"{raw / files[0]}: images of {images.shape[1:]} pixels, not {SIDE} x {SIDE}")
    if len(images) == 0:
        raise DataError(f"{raw / files[0]}: holds no images")
    if len(images) != len(labels):
        raise DataError(f"{raw / files[1]}: {len(labels)} labels for {len(images)} images")
    if labels.max() >= classes:
        raise DataError(f"{raw / files[1]}: label {labels.max()} is outside 0..{classes - 1}")
    return images, labels


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes with so many axes that an uncompressed IDX file holds.

    The header is two zero bytes, the type of the entries, the number of axes, and the length of each axis
    as a big-endian 32-bit integer. Raises DataError if the file cannot be read, says anything else, or
    is shorter or longer than it says.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    start = 4 + 4 * axes
    if content[:4] != bytes((0, 0, UNSIGNED_BYTE, axes)) or len(content) < start:
        raise DataError(f"{path}: not an IDX file of unsigned bytes with {axes} axes; {REMEDY}")
    shape = struct.unpack(f">{axes}I", content[4:start])
    expected = start + prod(shape)
    if len(content) != expected:
        state = "truncated" if len(content) < expected else "corrupt"
        raise DataError(f"{path}: {state}, {len(content)} bytes where its header says {expected}; {REMEDY}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)

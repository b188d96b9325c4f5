"""MNIST and Fashion-MNIST: four IDX files in one folder, fetched by torchvision with data.download."""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nc_bench.data.dataset import Dataset
from nc_bench.data.files import check_published, fetch, status
from nc_bench.data.images import BLOCK, Images, PixelArray, levels_from_images
from nc_bench.errors import DataError
from nc_bench.paths import printable

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

PUBLISHED = {
    "MNIST": (
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    ),
    "FashionMNIST": (
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "9018921c3c673c538a1fc5bad174d6f9",
        "8181f5470baa50b63fa0f6fddb340f0a",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
}
"""MD5 of the FILES, unpacked, by torchvision's class, which states those of the packed files."""

UNSIGNED_BYTE = 8
"""How the header of an IDX file names the type of its entries."""


def load_mnist(*, name: str, reader: str, classes: int, root: Path, download: bool) -> Dataset:
    """Images (N, 1, 28, 28) from ``root/reader/raw``, where torchvision's class `reader` puts them.

    Pixels are (x/255 - mean) / std with the training split's mean and population standard deviation over
    all pixels, computed in float64. Files that are all there are never downloaded again, and torchvision is
    then not imported.

    Raises DataError, one line, if a file is missing and not to be downloaded, a download fails, or a file is not the
    published one.
    """
    raw = root / reader / "raw"
    digests = {raw / file: md5 for file, md5 in zip(FILES, PUBLISHED[reader], strict=True)}
    missing = [path for path in digests if status(path) is None]
    if missing and download:
        fetch(name, root, digests, lambda folder: _download(reader, folder))
    elif missing:
        raise DataError(
            f"data.name={name}: looked for {', '.join(FILES)} in {printable(raw)}, "
            f"{len(missing)} of them missing (first: {missing[0].name}); set data.root to the folder that holds "
            f"{reader}/raw, or data.download=true"
        )
    check_published(name, digests)
    train_images, train_labels, test_images, test_labels = (
        read_idx(raw / file, axes) for file, axes in zip(FILES, (3, 1, 3, 1), strict=True)
    )
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


def _download(reader: str, folder: str) -> None:
    # Slow to import, and only a download needs it.
    from nc_bench.vision import torchvision

    getattr(torchvision.datasets, reader)(folder, download=True)


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes with so many axes that an uncompressed IDX file holds.

    The header is two zero bytes, the type of the entries, the number of axes, and the length of each axis
    as a big-endian 32-bit integer. ValueError if the file says anything else, or is shorter or longer than it says.
    """
    content = path.read_bytes()
    start = 4 + 4 * axes
    if content[:4] != bytes((0, 0, UNSIGNED_BYTE, axes)) or len(content) < start:
        raise ValueError(f"{path}: not an IDX file of unsigned bytes with {axes} axes")
    shape = struct.unpack(f">{axes}I", content[4:start])
    if len(content) != start + prod(shape):
        raise ValueError(f"{path}: {len(content)} bytes where its header says {start + prod(shape)}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)

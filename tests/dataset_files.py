"""Small random image data sets, each written in the file format of a real one, where torchvision looks for it.

The MD5 sums of files are compared with those of the real data set, so a writer replaces these by the sums of its own
files: pass pytest's `monkeypatch`, which undoes that. Every function returns the images as bytes (N, C, H, W)
and the labels that it wrote, for the training and the test split.
"""

from __future__ import annotations

import hashlib
import pickle
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from nc_bench.config import FolderOfImages
from nc_bench.data import DataError, Dataset, load_dataset
from nc_bench.data.mnist import FILES, PUBLISHED

Split = tuple[NDArray[np.uint8], NDArray[np.int64]]
Splits = dict[str, Split]

SIZES = {"train": 40, "test": 20}
"""Samples of a split. Sample i is of class i mod K, so both splits have samples of every class for K up to 20."""


def random_images(shape: tuple[int, int, int], classes: int, sizes: Mapping[str, int] = SIZES) -> Splits:
    """Random images, a little brighter the larger their label."""
    random = np.random.default_rng(0)
    splits = {}
    for split, samples in sizes.items():
        labels = np.arange(samples) % classes
        bright = (120 * labels / classes).astype(np.uint8)[:, None, None, None]
        splits[split] = (bright + random.integers(0, 130, (samples, *shape), dtype=np.uint8), labels)
    return splits


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, folder: str = "MNIST", sizes: Mapping[str, int] = SIZES
) -> Splits:
    """Four IDX files."""
    splits = random_images((1, 28, 28), 10, sizes)
    arrays = [part for split in ("train", "test") for part in (splits[split][0][:, 0], splits[split][1])]
    write_idx(root / folder / "raw", [array.astype(np.uint8) for array in arrays], monkeypatch)
    return splits


def write_idx(raw: Path, arrays: Sequence[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Training images and labels, test images and labels as the files of the data set whose folder this is."""
    raw.mkdir(parents=True, exist_ok=True)
    digests = tuple(_write(raw / file, idx_bytes(array)) for file, array in zip(FILES, arrays, strict=True))
    monkeypatch.setitem(PUBLISHED, raw.parent.name, digests)


def write_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch, *, sizes: Mapping[str, int] = SIZES) -> Splits:
    """Pickled batches, five of training images."""
    return _write_cifar(root, monkeypatch, "CIFAR10", 10, "labels", sizes)


def write_cifar100(root: Path, monkeypatch: pytest.MonkeyPatch, *, sizes: Mapping[str, int] | None = None) -> Splits:
    """Pickled splits with coarse and fine labels."""
    return _write_cifar(root, monkeypatch, "CIFAR100", 100, "fine_labels", sizes or {"train": 200, "test": 100})


def _write_cifar(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, classes: int, key: str, sizes: Mapping[str, int]
) -> Splits:
    from nc_bench.vision import torchvision

    reader, splits = getattr(torchvision.datasets, name), random_images((3, 32, 32), classes, sizes)
    folder = root / reader.base_folder
    folder.mkdir(parents=True)
    for split, files in (("train", reader.train_list), ("test", reader.test_list)):
        images, labels = splits[split]
        known = []
        for (file, _), part in zip(files, np.array_split(np.arange(len(labels)), len(files)), strict=True):
            entry = {"data": images[part].reshape(len(part), -1), key: labels[part].tolist()}
            known.append([file, _write(folder / file, pickle.dumps(entry, protocol=2))])
        monkeypatch.setattr(reader, f"{split}_list", known)
    names = pickle.dumps({reader.meta["key"]: [f"class {label}" for label in range(classes)]}, protocol=2)
    monkeypatch.setattr(reader, "meta", {**reader.meta, "md5": _write(folder / reader.meta["filename"], names)})
    return splits


def write_svhn(root: Path, monkeypatch: pytest.MonkeyPatch, *, sizes: Mapping[str, int] = SIZES) -> Splits:
    """Two MATLAB files, images along the last axis, the digit 0 labelled 10."""
    from nc_bench.vision import torchvision

    reader, splits = torchvision.datasets.SVHN, random_images((3, 32, 32), 10, sizes)
    root.mkdir(parents=True, exist_ok=True)
    known = dict(reader.split_list)
    for split, (images, labels) in splits.items():
        address, file, _ = reader.split_list[split]
        digits = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        savemat(root / file, {"X": images.transpose(2, 3, 1, 0), "y": digits})
        known[split] = [address, file, hashlib.md5((root / file).read_bytes()).hexdigest()]
    monkeypatch.setattr(reader, "split_list", known)
    return splits


def write_stl10(root: Path, monkeypatch: pytest.MonkeyPatch, *, sizes: Mapping[str, int] = SIZES) -> Splits:
    """Bare bytes, columns first, labels from 1."""
    from nc_bench.vision import torchvision

    reader, splits = torchvision.datasets.STL10, random_images((3, 96, 96), 10, sizes)
    folder = root / reader.base_folder
    folder.mkdir(parents=True)
    contents = {"unlabeled_X.bin": b""}
    for split, (images, labels) in splits.items():
        contents[f"{split}_X.bin"] = images.transpose(0, 1, 3, 2).tobytes()
        contents[f"{split}_y.bin"] = (labels + 1).astype(np.uint8).tobytes()
    for key in ("train_list", "test_list"):
        known = [[file, _write(folder / file, contents[file])] for file, _ in getattr(reader, key)]
        monkeypatch.setattr(reader, key, known)
    return splits


def write_image_folder(
    root: Path,
    *,
    suffix: str = ".png",
    shape: tuple[int, int, int] = (3, 16, 16),
    classes: int = 4,
    test: str = "test",
    sizes: Mapping[str, int] = SIZES,
) -> Splits:
    """One folder of images for every class: PNG as they are, JPEG near to them. Sorted by class, then by number."""
    splits = random_images(shape, classes, sizes)
    for split, (images, labels) in splits.items():
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = root / (test if split == "test" else split) / f"class {label}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = image[0] if shape[0] == 1 else image.transpose(1, 2, 0)
            Image.fromarray(pixels).save(folder / f"{number:04d}{suffix}")
        order = np.argsort(labels, kind="stable")
        splits[split] = (images[order], labels[order])
    return splits


def load_folder(root: Path | str, **chosen: Any) -> Dataset:
    """The data set `image_folder` in `root`, with further settings, read in this process."""
    settings = {"name": "image_folder", "root": str(root), "workers": 0, **chosen}
    return load_dataset(FolderOfImages.model_validate(settings))


def folder_refusal(root: Path | str, **chosen: Any) -> str:
    """The one line by which `load_folder` refuses."""
    with pytest.raises(DataError) as caught:
        load_folder(root, **chosen)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_imagenet(root: Path, *, sizes: Mapping[str, int] = SIZES) -> Splits:
    """JPEG files under train and val, as torchvision unpacks ImageNet."""
    return write_image_folder(root, suffix=".JPEG", shape=(3, 40, 30), test="val", sizes=sizes)


WRITERS: dict[str, Callable[[Path, pytest.MonkeyPatch], Splits]] = {
    "mnist": lambda root, patch: write_mnist(root, patch),
    "fashion_mnist": lambda root, patch: write_mnist(root, patch, folder="FashionMNIST"),
    "cifar10": write_cifar10,
    "cifar100": write_cifar100,
    "svhn": write_svhn,
    "stl10": write_stl10,
    "image_folder": lambda root, patch: write_image_folder(root),
    "imagenet": lambda root, patch: write_imagenet(root),
}
"""A writer for every data set that is read from files, by its `data.name`."""


def _write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return hashlib.md5(content).hexdigest()

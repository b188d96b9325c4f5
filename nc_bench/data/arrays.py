"""Arrays in files: .npy, which is memory-mapped, .npz and .safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nc_bench.config import Arrays
from nc_bench.data.dataset import Dataset
from nc_bench.data.own import OwnSplit, as_labels, as_rows, own_dataset
from nc_bench.errors import DataError
from nc_bench.paths import expanded, printable
from nc_bench.text import did_you_mean, listed, one_line

SUFFIXES = (".npy", ".npz", ".safetensors")


def load_arrays(settings: Arrays) -> Dataset:
    """Inputs and labels from the files that the settings name, within `data.root`.

    Raises DataError, one line that names key and file: a file that is missing, damaged or of another kind, an array
    that is not in it, and what `own_dataset` refuses.
    """
    root = expanded(settings.root, key="data.root", error=DataError)
    train = _split(root, "train", settings.train_inputs, settings.train_labels)
    test = None
    if settings.test_inputs is not None and settings.test_labels is not None:
        test = _split(root, "test", settings.test_inputs, settings.test_labels)
    return own_dataset(settings, train, test, settings.class_names)


def _split(root: Path, split: str, inputs: str, labels: str) -> OwnSplit:
    keys = f"{split}_inputs", f"{split}_labels"
    read = [_read(root, key, stated) for key, stated in zip(keys, (inputs, labels), strict=True)]
    return OwnSplit(
        key=f"data.{keys[0]}", source=as_rows(read[0], f"data.{keys[0]}"), labels=as_labels(read[1], f"data.{keys[1]}")
    )


def _read(root: Path, key: str, stated: str) -> Any:
    name, wanted = stated, None
    for suffix in SUFFIXES:
        if f"{suffix}:" in stated:
            name, _, wanted = stated.rpartition(":")
    path = root / expanded(name, key=f"data.{key}", error=DataError)
    place = f"data.{key}: {printable(path)}"
    if path.suffix not in SUFFIXES:
        raise DataError(f"{place}: should end in {listed(SUFFIXES, ' or ')}")
    if not path.is_file():
        raise DataError(f"{place}: there is no such file")
    try:
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        return _chosen(path, key, wanted, place)
    except DataError:
        raise
    except Exception as error:  # whatever NumPy and safetensors make of a damaged file
        raise DataError(f"{place}: cannot be read: {one_line(error)}") from None


def _chosen(path: Path, key: str, wanted: str | None, place: str) -> Any:
    """The array called `wanted`, or else the only one, or else the one called as the key is."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return archive[_name(list(archive.files), key, wanted, place)]
    from safetensors import safe_open  # only where such a file is read

    with safe_open(path, framework="pt") as file:
        return file.get_tensor(_name(list(file.keys()), key, wanted, place))


def _name(names: list[str], key: str, wanted: str | None, place: str) -> str:
    if wanted is None and len(names) == 1:
        return names[0]
    name = wanted or key
    if name not in names:
        hint = did_you_mean(name, names) or f"it holds {listed(sorted(names)) or 'none'}"
        raise DataError(f"{place}: holds no array called {name}; {hint}")
    return name

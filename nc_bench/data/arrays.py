"""Data in files of arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nc_bench.config import Arrays
from nc_bench.data.array_files import read_array
from nc_bench.data.dataset import Dataset
from nc_bench.data.own import OwnSplit, as_labels, as_rows, own_dataset
from nc_bench.errors import DataError
from nc_bench.paths import expanded


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
    read_inputs, read_labels = (
        _read(root, f"{split}_{kind}", to) for kind, to in (("inputs", inputs), ("labels", labels))
    )
    return OwnSplit(
        key=f"data.{split}_inputs",
        source=as_rows(read_inputs, f"data.{split}_inputs"),
        labels=as_labels(read_labels, f"data.{split}_labels"),
    )


def _read(root: Path, key: str, stated: str) -> Any:
    """The array of a file that is called as the key is, where the file holds several and no name is stated."""
    path = root / expanded(stated, key=f"data.{key}", error=DataError)
    return read_array(path, key=f"data.{key}", names=(key,))

"""The pickled files of CIFAR-10 and CIFAR-100, read without running what a pickle may name."""

from __future__ import annotations

import codecs
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nc_bench.errors import DataError
from nc_bench.paths import printable
from nc_bench.text import one_line

ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,
}
"""All that a pickle may call: what makes an array of numbers."""


def read_cifar(reader: Any, root: Path, split: str) -> tuple[Tensor, Tensor]:
    """Images (N, 3, 32, 32) of bytes and labels of one split, in the files that torchvision's class names."""
    files = reader.train_list if split == "train" else reader.test_list
    parts = [unpickled(root / reader.base_folder / file) for file, _ in files]
    pixels = np.concatenate([part["data"] for part in parts]).reshape(-1, 3, 32, 32)
    labels = [label for part in parts for label in part["labels" if "labels" in part else "fine_labels"]]
    return torch.from_numpy(pixels), torch.tensor(labels)


def cifar_names(reader: Any, root: Path) -> tuple[str, ...]:
    """The names of the classes, in the order of their labels."""
    return tuple(unpickled(root / reader.base_folder / reader.meta["filename"])[reader.meta["key"]])


def unpickled(path: Path) -> dict[str, Any]:
    """The dictionary of numbers, text and arrays in a file; DataError, one line, if it holds anything else."""
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="latin1").load()
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can make the unpickler raise anything
        raise DataError(f"{printable(path)}: cannot be read ({one_line(error)})") from None
    if not isinstance(content, dict):
        raise DataError(f"{printable(path)}: holds a {type(content).__name__} where a dictionary is expected")
    return content


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it would run {module}.{name}, which no array of numbers needs")
        return ALLOWED[module, name]

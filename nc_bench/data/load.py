"""From the name of a data set to its tensors."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from nc_bench.data.dataset import DataError, Dataset
from nc_bench.data.digits import load_digits
from nc_bench.data.mnist import load_mnist


def _digits(*, root: Path, download: bool) -> Dataset:
    """Bundled with scikit-learn: there is no folder to look in and nothing to download."""
    return load_digits()


LOADERS: Mapping[str, Callable[..., Dataset]] = {
    "digits": _digits,
    "mnist": partial(load_mnist, name="mnist", folder="MNIST"),
    "fashion_mnist": partial(load_mnist, name="fashion_mnist", folder="FashionMNIST"),
}


def load_dataset(name: str, *, root: str | Path, download: bool) -> Dataset:
    """One of ``LOADERS``, on the CPU, in the floating-point type that holds its values exactly.

    ``root`` is the folder of downloaded data ("~" is the home folder); ``download`` allows to fetch what is
    missing there. Data that is bundled ignores both.

    Raises DataError for an unknown name, and for data that is missing, damaged or cannot be fetched.
    """
    if name not in LOADERS:
        close = difflib.get_close_matches(name, LOADERS, n=1)
        suggestion = f"did you mean {close[0]!r}? " if close else ""
        raise DataError(f"data.name={name}: no such data set; {suggestion}there are {', '.join(LOADERS)}")
    return LOADERS[name](root=Path(root).expanduser(), download=download)

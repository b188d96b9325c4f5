"""From the settings of a data set to its tensors."""

from __future__ import annotations

from pathlib import Path

from nc_bench.config import Data, Digits, Downloaded
from nc_bench.data.dataset import Dataset
from nc_bench.data.digits import load_digits
from nc_bench.data.mnist import load_mnist
from nc_bench.data.selection import select
from nc_bench.data.synthetic import gaussian_mixture

MNIST_FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}


def load_dataset(settings: Data) -> Dataset:
    """The samples that are asked for with their true labels, on the CPU, in a type that holds their values exactly.

    Inputs are standardised by the whole training split, before samples are selected.

    Raises DataError for data that is missing, damaged, cannot be fetched or has not the samples asked for.
    """
    return select(_whole(settings), settings)


def _whole(settings: Data) -> Dataset:
    if isinstance(settings, Digits):
        return load_digits()
    if isinstance(settings, Downloaded):
        return load_mnist(
            name=settings.name,
            folder=MNIST_FOLDERS[settings.name],
            root=Path(settings.root).expanduser(),
            download=settings.download,
        )
    return gaussian_mixture(settings)

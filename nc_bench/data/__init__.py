"""Data sets, which of their samples are used, and what may be done to their labels."""

from nc_bench.data.augmentation import Augmentation
from nc_bench.data.dataset import Dataset
from nc_bench.data.digest import data_digest, what_differs
from nc_bench.data.images import Images, select_rows, training_batches
from nc_bench.data.labels import noisy_labels, random_labels, training_labels, uniform_labels
from nc_bench.data.load import load_dataset
from nc_bench.errors import DataError

__all__ = [
    "Augmentation",
    "DataError",
    "Dataset",
    "Images",
    "data_digest",
    "load_dataset",
    "noisy_labels",
    "random_labels",
    "select_rows",
    "training_batches",
    "training_labels",
    "uniform_labels",
    "what_differs",
]

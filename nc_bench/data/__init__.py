"""Floor 2: data sets, which of their samples are used, and what may be done to their labels."""

from nc_bench.data.dataset import DataError, Dataset
from nc_bench.data.labels import noisy_labels, random_labels, training_labels, uniform_labels
from nc_bench.data.load import load_dataset

__all__ = [
    "DataError",
    "Dataset",
    "load_dataset",
    "noisy_labels",
    "random_labels",
    "training_labels",
    "uniform_labels",
]

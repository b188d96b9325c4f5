"""Floor 2: data sets resident as tensors, and what may be done to their labels."""

from nc_bench.data.dataset import DataError, Dataset
from nc_bench.data.labels import random_labels
from nc_bench.data.load import load_dataset

__all__ = ["DataError", "Dataset", "load_dataset", "random_labels"]

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits as bundled_digits

from nc_bench.config import Digits
from nc_bench.data import Dataset, load_dataset


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(Digits(name="digits"))


def test_sizes_shapes_and_types(digits: Dataset) -> None:
    assert digits.train_inputs.shape == (1400, 64) and digits.test_inputs.shape == (397, 64)
    assert digits.train_inputs.dtype == digits.test_inputs.dtype == torch.float64
    assert digits.train_labels.dtype == digits.test_labels.dtype == torch.int64
    assert (digits.name, digits.classes) == ("digits", 10)


def test_the_split_is_stratified(digits: Dataset) -> None:
    trained = np.array(digits.class_counts)
    tested = torch.bincount(digits.test_labels, minlength=10).numpy()
    assert np.abs(trained - (trained + tested) * 1400 / 1797).max() < 1


def test_the_training_split_is_standardised(digits: Dataset) -> None:
    centre = digits.train_inputs.mean(dim=0)
    spread = digits.train_inputs.std(dim=0, correction=0)
    constant = (digits.train_inputs == digits.train_inputs[0]).all(dim=0)
    assert centre.abs().max() < 1e-13
    assert (spread[~constant] - 1).abs().max() < 1e-13
    assert 0 < constant.sum() < 10
    assert (digits.train_inputs[:, constant] == 0).all()


def test_every_real_digit_is_there_once_with_its_own_label(digits: Dataset) -> None:
    pixels, labels = bundled_digits(return_X_y=True)
    inputs = np.concatenate([digits.train_inputs, digits.test_inputs])
    targets = torch.cat([digits.train_labels, digits.test_labels]).numpy()
    # Every pixel is an increasing affine map of the raw one: the ranks of a pixel's values undo it.
    varying = [pixel for pixel in range(64) if len(np.unique(inputs[:, pixel])) > 1]
    ranks = np.stack([np.unique(inputs[:, pixel], return_inverse=True)[1] for pixel in varying], axis=1)
    raw_ranks = np.stack([np.unique(pixels[:, pixel], return_inverse=True)[1] for pixel in varying], axis=1)
    found = sorted(map(tuple, np.column_stack([targets, ranks])))
    expected = sorted(map(tuple, np.column_stack([labels, raw_ranks])))
    assert found == expected


def test_the_split_never_changes(digits: Dataset) -> None:
    assert hashlib.sha256(digits.train_labels.numpy().tobytes()).hexdigest()[:16] == "890dc089aea3c5c3"
    assert hashlib.sha256(digits.test_labels.numpy().tobytes()).hexdigest()[:16] == "1b7fc4c08cc36714"


def test_global_random_state_is_neither_read_nor_moved(digits: Dataset) -> None:
    np.random.seed(123)  # noqa: NPY002
    torch.manual_seed(123)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    again = load_dataset(Digits(name="digits"))
    assert torch.equal(again.train_inputs, digits.train_inputs)
    assert torch.equal(again.test_labels, digits.test_labels)
    assert np.array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])

"""The 1,797 real 8 x 8 digits that come with scikit-learn: no network needed."""

from __future__ import annotations

import numpy as np
import torch

from nc_bench.data.dataset import Dataset

TEST_SAMPLES = 397
SPLIT_SEED = 0


def load_digits() -> Dataset:
    """1,400 training and 397 test samples of 64 pixels in float64, 10 classes.

    The split is stratified and always the same. Every pixel is standardised by the training split's mean
    and population standard deviation; a pixel that is constant there is centred only.
    """
    # Slow to import, and only this data set needs it.
    from sklearn.datasets import load_digits as bundled_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = bundled_digits(return_X_y=True)
    train, test = train_test_split(
        np.arange(len(labels)), stratify=labels, test_size=TEST_SAMPLES, random_state=SPLIT_SEED
    )
    mean, std = pixels[train].mean(axis=0), pixels[train].std(axis=0)
    standardised = torch.from_numpy((pixels - mean) / np.where(std > 0, std, 1.0))
    targets = torch.from_numpy(labels.astype(np.int64))
    return Dataset(
        name="digits",
        classes=10,
        train_inputs=standardised[train],
        train_labels=targets[train],
        test_inputs=standardised[test],
        test_labels=targets[test],
    )

from __future__ import annotations

from typing import Any

import pytest
import torch

from nc_bench.config import GaussianMixture, Noise
from nc_bench.data import Dataset, load_dataset


def mixture(**chosen: Any) -> Dataset:
    sizes = {"classes": 5, "dimension": 400, "samples_per_class": 300, "test_samples_per_class": 200}
    return load_dataset(GaussianMixture.model_validate({"name": "gaussian_mixture", "separation": 6} | sizes | chosen))


def class_means(inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.stack([inputs[labels == label].mean(0) for label in labels.unique()])


def test_both_splits_are_drawn_around_the_same_means_so_far_apart() -> None:
    data = mixture()
    assert data.class_counts == (300,) * 5 and torch.bincount(data.test_labels).tolist() == [200] * 5
    train = class_means(data.train_inputs, data.train_labels)
    test = class_means(data.test_inputs, data.test_labels)
    squares = torch.pdist(train).square()
    # |m - m'|^2 is 36 chi2(400)/400 (deviation 2.5) plus 400 * 2/300 from the finite sample; ten pairs.
    assert float(squares.mean() - 800 / 300) == pytest.approx(36, abs=5)
    assert float((train - test).square().sum(1).mean()) == pytest.approx(400 * (1 / 300 + 1 / 200), rel=0.2)
    residual = data.train_inputs - train[data.train_labels]
    assert float(residual.square().mean()) == pytest.approx(1 - 1 / 300, abs=0.01)


def test_it_is_a_function_of_the_seed_of_the_data() -> None:
    assert torch.equal(mixture().train_inputs, mixture().train_inputs)
    assert not torch.equal(mixture().train_inputs, mixture(seed=1).train_inputs)
    assert not torch.equal(mixture().train_inputs[:5], mixture().test_inputs[:5])


def test_the_test_split_may_be_empty_and_classes_unbalanced() -> None:
    data = mixture(test_samples_per_class=0, balance={"name": "step", "ratio": 3, "minority_classes": 2})
    assert len(data.test_inputs) == 0 and data.class_counts == (300, 300, 300, 100, 100)


def test_noise_says_nothing_of_its_labels() -> None:
    data = load_dataset(Noise(name="noise", classes=4, dimension=50, samples_per_class=500))
    # Means of 500 standard normal vectors: |m - m'|^2 is 50 * 2/500 with deviation .028.
    squares = torch.pdist(class_means(data.train_inputs, data.train_labels)).square()
    assert (squares - 0.2).abs().max() < 0.15
    assert float(data.train_inputs.std()) == pytest.approx(1, abs=0.01)

"""Synthetic inputs: Gaussian clouds, and noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nc_bench.config import GaussianMixture, Noise
from nc_bench.data.dataset import Dataset
from nc_bench.rng import Stream, generator

MEANS, TRAIN, TEST = 0, 1, 2


def gaussian_mixture(settings: GaussianMixture | Noise) -> Dataset:
    """x = m_y + e in float64, e standard normal in R^d, the same number of samples for every class.

    The class means m_c = s N(0, I / (2 d)) are drawn once for both splits: two of them are s, the `separation`,
    apart in root mean square. For noise s = 0: the inputs say nothing of the labels. Everything is drawn from
    ``generator(settings.seed, Stream.SYNTHETIC, ...)``.
    """
    draw = generator(settings.seed, Stream.SYNTHETIC, MEANS)
    means = torch.randn(settings.classes, settings.dimension, generator=draw, dtype=torch.float64)
    means *= settings.separation / math.sqrt(2 * settings.dimension)

    def split(per_class: int, index: int) -> tuple[Tensor, Tensor]:
        labels = torch.arange(settings.classes).repeat_interleave(per_class)
        draw = generator(settings.seed, Stream.SYNTHETIC, index)
        noise = torch.randn(len(labels), settings.dimension, generator=draw, dtype=torch.float64)
        return means[labels] + noise, labels

    train_inputs, train_labels = split(settings.samples_per_class, TRAIN)
    test_inputs, test_labels = split(settings.test_samples_per_class, TEST)
    return Dataset(
        name=settings.name,
        classes=settings.classes,
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
    )

"""Near ties: float32 features are decided as float64 would, not as float32 would."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nc_bench import collapse_metrics
from nc_bench.metrics import Head, measure_features

CLASSES, SAMPLES = 4, 400
Array = NDArray[np.float64]


def rivals(random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first = random.integers(CLASSES, size=SAMPLES)
    return first, (first + random.integers(1, CLASSES, size=SAMPLES)) % CLASSES


def across(directions: Array, noise: Array) -> Array:
    """The part of the noise that is orthogonal to the directions, row by row."""
    return noise - (noise * directions).sum(1, keepdims=True) / (directions**2).sum(1, keepdims=True) * directions


def nearest(features: NDArray[np.float32], centres: Array) -> NDArray[np.int64]:
    return (((features.astype(np.float64)[:, None] - centres) ** 2).sum(-1)).argmin(1)


@pytest.mark.parametrize("width", [8, 512, 4096])
@pytest.mark.parametrize("spread", [1.0, 1e-3])
def test_which_centre_is_nearest(width: int, spread: float) -> None:
    random = np.random.default_rng(width)
    centres = random.standard_normal((1, width)) + spread * random.standard_normal((CLASSES, width))
    first, second = rivals(random)
    apart = centres[first] - centres[second]
    noise = across(apart, 0.3 * spread * random.standard_normal(apart.shape))
    steps = 10 ** random.uniform(-9, -5, (SAMPLES, 1)) * random.choice([-1, 1], (SAMPLES, 1))
    features = ((centres[first] + centres[second]) / 2 + noise + steps * apart).astype(np.float32)
    decided = nearest(features, centres)
    narrow = (((features[:, None] - centres.astype(np.float32)) ** 2).sum(-1)).argmin(1)
    assert (narrow != decided).sum() > 5
    # With the right decisions as labels every sample must be found to be right, with wrong ones none.
    for labels, accuracy in ((decided, 1), ((decided + 1) % CLASSES, 0)):
        arrays = torch.as_tensor(features)[None], torch.as_tensor(labels)[None]
        metrics = measure_features(*arrays, classes=CLASSES, centres=torch.as_tensor(centres)[None]).metrics[0]
        assert metrics["ncc_accuracy"] == accuracy


@pytest.mark.parametrize("width", [8, 512])
def test_which_class_mean_is_nearest(width: int) -> None:
    """Near ties come in pairs around their class mean, so that they hardly move it."""
    random = np.random.default_rng(width)
    means = random.standard_normal((CLASSES, width))
    first, second = rivals(random)
    apart = means[first] - means[second]
    towards = -apart / 2 + across(apart, 0.3 * random.standard_normal(apart.shape))
    features = np.concatenate([means[first] + towards, means[first] - towards]).astype(np.float32)
    labels = np.tile(first, 2)
    found = np.array([features[labels == c].astype(np.float64).mean(0) for c in range(CLASSES)])
    decided = nearest(features, found)
    assert 0.1 < np.mean(decided[:SAMPLES] == first) < 0.9
    assert collapse_metrics(features, labels)["ncc_accuracy"] == np.mean(decided == labels)


@pytest.mark.parametrize("width", [8, 512, 4096])
@pytest.mark.parametrize("bias_size", [0.0, 1.0, 1e4])
def test_which_logit_is_largest(width: int, bias_size: float) -> None:
    random = np.random.default_rng(width)
    weight = random.standard_normal((CLASSES, width))
    bias = bias_size + random.standard_normal(CLASSES)
    first, second = rivals(random)
    apart = weight[first] - weight[second]
    features = across(apart, 0.1 * random.standard_normal(apart.shape) + 3 * (weight[first] + weight[second]) / width)
    features -= ((bias[first] - bias[second]) / (apart**2).sum(1))[:, None] * apart
    features = features.astype(np.float32)
    logits = features.astype(np.float64) @ weight.T + bias
    decided = logits.argmax(1)
    narrow = (features @ weight.T.astype(np.float32) + bias.astype(np.float32)).argmax(1)
    assert (narrow != decided).sum() > 5
    for labels, accuracy in ((decided, 1), ((decided + 1) % CLASSES, 0)):
        assert collapse_metrics(features, labels, weight, bias)["accuracy"] == accuracy


def test_decisions_that_disagree_are_counted_exactly() -> None:
    """nc4_mismatch where both decisions are near ties: the weight is the nearest-mean rule, then a hair off it."""
    random = np.random.default_rng(0)
    labels = np.arange(SAMPLES) % CLASSES
    features = (random.standard_normal((CLASSES, 16))[labels] + 2 * random.standard_normal((SAMPLES, 16))).astype(
        np.float32
    )
    means = np.array([features[labels == c].astype(np.float64).mean(0) for c in range(CLASSES)])
    rule = Head(weight=torch.as_tensor(means)[None], bias=torch.as_tensor(-(means**2).sum(1) / 2)[None])
    arrays = torch.as_tensor(features)[None], torch.as_tensor(labels)[None]
    assert measure_features(*arrays, classes=CLASSES, head=rule).metrics[0]["nc4_mismatch"] == 0
    off = means * (1 + 1e-2 * random.standard_normal(means.shape))
    predicted = (features.astype(np.float64) @ off.T - (means**2).sum(1) / 2).argmax(1)
    mismatch = np.mean(predicted != nearest(features, means))
    assert 0 < mismatch < 0.2
    assert collapse_metrics(features, labels, off, -(means**2).sum(1) / 2)["nc4_mismatch"] == mismatch

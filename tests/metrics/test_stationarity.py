"""The residual of the last layer's stationarity: against automatic differentiation and against solved problems."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from nc_bench.metrics.stationarity import stationarity_residual

Problem = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def problem(*leading: int, samples: int = 12, classes: int = 4, width: int = 3, seed: int = 0) -> Problem:
    random = torch.Generator().manual_seed(seed)
    sizes = ((samples, width), (classes, width), (classes,))
    features, weight, bias = (torch.randn(*leading, *s, generator=random, dtype=torch.float64) for s in sizes)
    labels = torch.randint(classes, (*leading, samples), generator=random)
    return features, labels, weight, bias


@given(seed=st.integers(0, 1000), decay=st.floats(1e-4, 10), smoothing=st.sampled_from([0.0, 0.1, 0.7]))
def test_it_is_the_relative_gradient_of_the_objective(seed: int, decay: float, smoothing: float) -> None:
    features, labels, weight, bias = problem(seed=seed)
    variable = weight.clone().requires_grad_()
    loss = F.cross_entropy(features @ variable.mT + bias, labels, label_smoothing=smoothing)
    (gradient,) = torch.autograd.grad(loss + decay / 2 * variable.square().sum(), variable)
    found = stationarity_residual(features, labels, weight, bias, decay=decay, label_smoothing=smoothing)
    assert float(found) == pytest.approx(float(gradient.norm() / (decay * weight).norm()), rel=1e-9)


def test_it_vanishes_at_the_minimum_that_another_library_finds() -> None:
    features, labels, *_ = problem(samples=60)
    solved = LogisticRegression(C=1 / (60 * 0.05), tol=1e-12, max_iter=10_000).fit(features.numpy(), labels.numpy())
    weight, bias = torch.from_numpy(solved.coef_), torch.from_numpy(solved.intercept_)
    assert float(stationarity_residual(features, labels, weight, bias, decay=0.05)) < 1e-5
    assert float(stationarity_residual(features, labels, weight, bias, decay=0.06)) > 0.1


def test_each_network_of_a_stack_has_its_own() -> None:
    stacked = problem(2, 3)
    together = stationarity_residual(*stacked, decay=0.1)
    alone = [
        float(stationarity_residual(*(part[i, j] for part in stacked), decay=0.1)) for i in (0, 1) for j in range(3)
    ]
    assert together.shape == (2, 3) and together.dtype == torch.float64
    assert together.flatten().tolist() == pytest.approx(alone, rel=1e-12)


def test_errors_of_collapsed_outputs_do_not_drown_in_rounding() -> None:
    """Two classes at the logits +-m: the pull is e^-2m in each entry, far below the rounding of 1 - P."""
    features, labels = torch.tensor([[1.0], [-1.0]], dtype=torch.float64), torch.tensor([0, 1])
    weight = torch.tensor([[25.0], [-25.0]], dtype=torch.float64)
    decay = math.exp(-50) / 25
    assert float(stationarity_residual(features, labels, weight, decay=decay)) < 1e-12


def test_without_a_pull_it_is_one() -> None:
    features, labels, weight, _ = problem()
    assert float(stationarity_residual(torch.zeros_like(features), labels, weight, decay=0.3)) == 1.0


def test_it_is_undefined_for_a_zero_weight() -> None:
    features, labels, weight, _ = problem()
    assert stationarity_residual(features, labels, torch.zeros_like(weight), decay=0.3).isnan()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"decay": 0.0}, "decay must be positive and finite, got 0.0"),
        ({"decay": math.nan}, "decay must be positive"),
        ({"label_smoothing": 1.0}, r"label_smoothing must lie in \[0, 1\), got 1.0"),
        ({"labels": torch.full((12,), 4)}, "labels must lie in 0..3, got 4 to 4"),
        ({"labels": torch.zeros(11, dtype=torch.long)}, r"labels must be of shape \(12,\) here, got \(11,\)"),
        ({"weight": torch.zeros(4, 2)}, r"weight must be of shape \(4, 3\) here, got \(4, 2\)"),
        ({"bias": torch.zeros(3)}, r"bias must be of shape \(4,\) here, got \(3,\)"),
        ({"features": torch.zeros(0, 3), "labels": torch.zeros(0, dtype=torch.long)}, "no samples"),
    ],
)
def test_nonsense_is_refused(change: dict[str, object], message: str) -> None:
    given = dict(zip(("features", "labels", "weight", "bias"), problem(), strict=True)) | {"decay": 0.1}
    with pytest.raises(ValueError, match=message):
        stationarity_residual(**(given | change))

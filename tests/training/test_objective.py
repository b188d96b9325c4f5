"""The objective against torch's own losses, trial by trial, batch by batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import network, table, tiny_dataset
from torch import Tensor
from torch.nn import functional as F

from nc_bench.config import ConfigError
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.objective import Objective

LABELS = torch.tensor([0, 0, 0, 0, 1, 1, 2, 0, 1, 2, 2, 0])


def random(*shape: int) -> Tensor:
    return 3 * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))


def objective(*sections: dict[str, Any], labels: Tensor = LABELS, classes: int = 3) -> Objective:
    configs = [network(objective=section) for section in sections]
    return Objective(configs, labels.expand(len(configs), -1), classes, torch.float64)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_cross_entropy_is_torchs(smoothing: float) -> None:
    outputs = random(1, 12, 3)
    expected = F.cross_entropy(outputs[0], LABELS, label_smoothing=smoothing)
    loss = objective({"label_smoothing": smoothing}).loss(outputs, LABELS[None])
    torch.testing.assert_close(loss, expected[None], rtol=1e-14, atol=0)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_mixup_is_torchs_cross_entropy_against_a_class_and_the_next(share: float) -> None:
    outputs, classes = random(1, 12, 3), torch.eye(3, dtype=torch.float64)
    mixed = Objective([table(objective={"mixup": share})], LABELS[None], 3, torch.float64)
    targets = share * classes[LABELS] + (1 - share) * classes[(LABELS + 1) % 3]
    expected = F.cross_entropy(outputs[0], targets)
    torch.testing.assert_close(mixed.loss(outputs, LABELS[None]), expected[None], rtol=1e-14, atol=0)
    assert not mixed.is_risk


def test_squared_errors_are_halved_sums_over_the_classes() -> None:
    outputs = random(1, 12, 3)
    targets = torch.eye(3, dtype=torch.float64)[LABELS]
    loss = objective({"loss": "mse"}).loss(outputs, LABELS[None])
    torch.testing.assert_close(loss, 1.5 * F.mse_loss(outputs[0], targets)[None], rtol=1e-14, atol=0)


@pytest.mark.parametrize("shift", [0.0, -7.5])
def test_the_exponential_loss_is_that_of_a_binary_classifier(shift: float) -> None:
    """The paper's R(h) = mean of exp(-xi_x h(x)), section 5.2; only the difference of the two logits counts."""
    h, labels = random(1, 12), (LABELS == 2).long()
    signs = np.where(labels == 1, 1.0, -1.0)
    logits = torch.stack([-h, h], -1) + shift
    exponential = objective({"loss": "exponential"}, labels=labels, classes=2)
    expected = torch.tensor([np.exp(-signs * h[0].numpy()).mean()], dtype=torch.float64)
    torch.testing.assert_close(exponential.loss(logits, labels[None]), expected, rtol=1e-13, atol=0)
    assert not exponential.is_risk
    weighted = objective({"loss": "exponential", "class_weights": [1.0, 3.0]}, labels=labels, classes=2)
    expected[:] = np.average(np.exp(-signs * h[0].numpy()), weights=2 + signs)
    torch.testing.assert_close(weighted.loss(logits, labels[None]), expected, rtol=1e-13, atol=0)


def test_the_exponential_loss_is_for_two_classes() -> None:
    with pytest.raises(ConfigError, match=r"^objective\.loss: exponential is for 2 classes, but the data has 3$"):
        objective({"loss": "exponential"})


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_the_focal_loss_is_that_of_lin_et_al(gamma: float) -> None:
    outputs = random(1, 12, 3)
    p = torch.softmax(outputs[0], -1)[torch.arange(12), LABELS]
    expected = (-((1 - p) ** gamma) * p.log()).mean()
    focal = objective({"loss": "focal", "focal_gamma": gamma})
    torch.testing.assert_close(focal.loss(outputs, LABELS[None]), expected[None], rtol=1e-12, atol=0)
    assert not focal.is_risk


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_focal_loss_at_deep_collapse_and_at_total_error(gamma: float) -> None:
    """p_y within 1e-300 of 1 and of 0: with margin m, (1-p) = -log p = 2 e^-m and then -log p = m."""
    focal = objective({"loss": "focal", "focal_gamma": gamma})
    labels = torch.zeros(1, 1, dtype=torch.int64)
    for margin, value, slope in (
        (200.0, (2 * math.exp(-200)) ** (1 + gamma), -(1 + gamma) * (2 * math.exp(-200)) ** (1 + gamma)),
        (-700.0, 700 + math.log(2), -1.0),
    ):
        outputs = torch.tensor([[[margin, 0.0, 0.0]]], dtype=torch.float64, requires_grad=True)
        loss = focal.loss(outputs, labels)
        loss.sum().backward()
        assert loss.item() == pytest.approx(value, rel=1e-12)
        assert float(outputs.grad[0, 0, 0]) == pytest.approx(slope, rel=1e-12)
    assert torch.autograd.gradcheck(lambda x: focal.loss(x, LABELS[None]), random(1, 12, 3).requires_grad_())


@pytest.mark.parametrize(("true_weight", "target"), [(1.0, 1.0), (15.0, 30.0), (0.5, 2.0)])
def test_rescaled_squared_errors_are_those_of_hui_and_belkin(true_weight: float, target: float) -> None:
    """Their l = (1/K) (k (f_y - M)^2 + sum over the others of f^2), times K/2."""
    outputs = random(1, 12, 3)
    theirs = [
        (true_weight * (z[y] - target) ** 2 + sum(z[j] ** 2 for j in range(3) if j != y)) / 3
        for z, y in zip(outputs[0].tolist(), LABELS.tolist(), strict=True)
    ]
    rescaled = objective({"loss": "mse", "mse_true_weight": true_weight, "mse_target": target})
    expected = torch.tensor([1.5 * np.mean(theirs)], dtype=torch.float64)
    torch.testing.assert_close(rescaled.loss(outputs, LABELS[None]), expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    "sections",
    [
        [{"loss": "focal", "focal_gamma": 0.5}, {"loss": "focal", "focal_gamma": 3.0}],
        [{"loss": "mse", "mse_true_weight": 4.0}, {"loss": "mse", "mse_target": 7.0}],
    ],
)
def test_trials_have_rescalings_of_their_own(sections: list[dict[str, Any]]) -> None:
    outputs = random(2, 12, 3)
    together = objective(*sections).loss(outputs, LABELS.expand(2, -1))
    for trial, section in enumerate(sections):
        alone = objective(section).loss(outputs[trial : trial + 1], LABELS[None])
        torch.testing.assert_close(together[trial : trial + 1], alone, rtol=1e-15, atol=0)


def test_the_head_may_have_a_decay_of_its_own() -> None:
    sections = [
        {"weight_decay": 0.3, "head_decay": 0.1},
        {"weight_decay": 0.2},
        {"weight_decay": 0.4, "head_decay": 0.0},
    ]
    backbone, head = [random(3, 2, 4), random(3, 5)], [random(3, 6)]
    penalty = objective(*sections).weight_penalty(backbone, head)
    for trial, (rest, own) in enumerate(((0.3, 0.1), (0.2, 0.2), (0.4, 0.0))):
        squares = [sum(float(p[trial].square().sum()) for p in group) for group in (backbone, head)]
        assert float(penalty[trial]) == pytest.approx((rest * squares[0] + own * squares[1]) / 2, rel=1e-14)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_class_weights_are_relative_and_the_full_batch_is_the_weighted_mean(loss: str) -> None:
    outputs, weights = random(1, 12, 3), torch.tensor([0.5, 2.0, 7.0], dtype=torch.float64)
    plain = objective({"loss": loss})
    each = torch.cat([plain.loss(outputs[:, i : i + 1], LABELS[None, i : i + 1]) for i in range(12)])
    expected = (weights[LABELS] * each).sum() / weights[LABELS].sum()
    for scale in (1.0, 30.0):
        weighted = objective({"loss": loss, "class_weights": (scale * weights).tolist()})
        torch.testing.assert_close(weighted.loss(outputs, LABELS[None]), expected[None], rtol=1e-14, atol=0)


def test_weighted_batches_are_unbiased() -> None:
    outputs = random(1, 12, 3)
    weighted = objective({"class_weights": [0.5, 2.0, 7.0]})
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    batches = [weighted.loss(outputs[:, batch], LABELS[None, batch]) for batch in order.split(4)]
    torch.testing.assert_close(sum(batches) / 3, weighted.loss(outputs, LABELS[None]), rtol=1e-14, atol=0)


def test_trials_have_numbers_and_labels_of_their_own() -> None:
    sections: list[dict[str, Any]] = [
        {"label_smoothing": 0.1, "class_weights": [1.0, 2.0, 3.0], "feature_decay": 0.1, "weight_decay": 0.3},
        {},
        {"label_smoothing": 0.3, "feature_decay": 0.2},
    ]
    labels = torch.stack([LABELS, LABELS.flip(0), (LABELS + 1) % 3])
    outputs, parameters = random(3, 12, 3), ([random(3, 2, 4)], [random(3, 5)])
    together = Objective([network(objective=s) for s in sections], labels, 3, torch.float64)
    for trial, section in enumerate(sections):
        alone = Objective([network(objective=section)], labels[trial : trial + 1], 3, torch.float64)
        own = outputs[trial : trial + 1], labels[trial : trial + 1]
        torch.testing.assert_close(together.loss(outputs, labels)[trial], alone.loss(*own)[0], rtol=1e-14, atol=0)
        features, decay = outputs[trial], section.get("feature_decay", 0.0)
        penalty = decay / 2 * features.square().sum()
        torch.testing.assert_close(together.feature_penalty(outputs)[trial], penalty, rtol=1e-14, atol=0)
        squares = sum(float(p[trial].square().sum()) for group in parameters for p in group)
        expected = section.get("weight_decay", 0.0) / 2 * squares
        assert float(together.weight_penalty(*parameters)[trial]) == pytest.approx(expected, rel=1e-14)


def test_the_feature_penalty_of_a_batch_stands_for_all_samples() -> None:
    features = random(1, 12, 5)
    decaying = objective({"feature_decay": 0.2})
    halves = [decaying.feature_penalty(half) for half in features.split(6, 1)]
    torch.testing.assert_close(sum(halves) / 2, decaying.feature_penalty(features), rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("section", "is_risk"),
    [
        ({"weight_decay": 0.1, "feature_decay": 0.1}, True),
        ({"class_weights": [2.0, 2.0, 2.0]}, True),
        ({"class_weights": [2.0, 2.0, 2.5]}, False),
        ({"label_smoothing": 0.1}, False),
        ({"loss": "mse"}, False),
    ],
)
def test_which_losses_are_the_risk(section: dict[str, Any], is_risk: bool) -> None:
    assert objective(section).is_risk is is_risk


def test_the_recorded_loss_is_the_one_that_is_trained() -> None:
    data = tiny_dataset()
    section = {"label_smoothing": 0.2, "class_weights": [1.0, 5.0, 2.0]}
    config = network(dtype="float64", objective=section, training={"batch_size": None}, head={"bias": True})
    ensemble = Ensemble([config], data, torch.device("cpu"))
    for _ in ensemble.steps_of_epoch():
        pass
    ensemble.model.eval()
    with torch.no_grad():
        features = ensemble.model.backbone(ensemble.inputs[None])
        outputs = ensemble.model.outputs(features)
        expected = ensemble.objective.loss(outputs, ensemble.labels)
    assert ensemble.mean_losses([123.0], features) == expected.tolist()
    plain = Ensemble([network(training={"batch_size": None})], data, torch.device("cpu"))
    assert plain.mean_losses([123.0], None) == [123.0]


def test_one_weight_for_each_class() -> None:
    with pytest.raises(ConfigError, match=r"^objective\.class_weights: 2 given, but the data has 3 classes$"):
        objective({"class_weights": [1.0, 2.0]})

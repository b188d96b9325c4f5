"""Chunks, trials and class centres from elsewhere: the same numbers however the samples are brought."""

from __future__ import annotations

import math
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_problems import Problem, disagreements, problems
from numpy_reference import reference_metrics
from sklearn.neighbors import NearestCentroid
from torch import Tensor

from nc_bench import collapse_metrics
from nc_bench.metrics import CollapseMetrics, Head, Measurement, TwoPassMetrics, collapse, measure_features

some = settings(max_examples=15, deadline=None)


def as_trials(*trials: Problem) -> tuple[Tensor, Tensor, Head]:
    """Problems of one shape, stacked; all have a bias or none has."""
    features = torch.stack([torch.as_tensor(p.features) for p in trials])
    labels = torch.stack([torch.as_tensor(p.labels) for p in trials])
    weight = torch.stack([torch.as_tensor(p.weight) for p in trials])
    biases = [torch.as_tensor(p.bias) for p in trials if p.bias is not None]
    return features, labels, Head(weight=weight, bias=torch.stack(biases) if biases else None)


def together(*trials: Problem, centres: Tensor | None = None) -> list[CollapseMetrics]:
    features, labels, head = as_trials(*trials)
    return measure_features(features, labels, classes=trials[0].classes, head=head, centres=centres).metrics


@some
@given(problems(), st.integers(1, 40))
def test_small_chunks_change_nothing(problem: Problem, elements: int) -> None:
    whole = collapse_metrics(*problem.arguments())
    with patch.object(collapse, "CHUNK_ELEMENTS", elements):
        assert disagreements(collapse_metrics(*problem.arguments()), problem, whole) == {}


@some
@given(problems(), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_chunks_of_odd_sizes_change_nothing(problem: Problem, sizes: list[int]) -> None:
    features, labels, head = as_trials(problem)

    def chunks() -> Iterator[tuple[Tensor, Tensor]]:
        start = 0
        while start < labels.shape[1]:
            for size in sizes:
                if start < labels.shape[1]:
                    yield features[:, start : start + size], labels[:, start : start + size]
                start += size

    metrics = TwoPassMetrics(problem.classes, head)
    for one_pass in (metrics.first_pass, metrics.second_pass):
        for chunk in chunks():
            one_pass(*chunk)
    chunked = metrics.result()
    whole = measure_features(features, labels, classes=problem.classes, head=head)
    assert disagreements(chunked.metrics[0], problem, whole.metrics[0]) == {}
    torch.testing.assert_close(chunked.class_means, whole.class_means, rtol=1e-14, atol=1e-14)


@some
@given(problems(), st.integers(0, 2**32 - 1))
def test_stacked_trials_equal_each_alone(problem: Problem, seed: int) -> None:
    random = np.random.default_rng(seed)
    trials = [
        problem,
        problem.changed(features=problem.features + random.standard_normal(problem.features.shape)),
        problem.changed(features=3 * problem.features, labels=random.permutation(problem.labels)),
    ]
    for trial, metrics in zip(trials, together(*trials), strict=True):
        assert disagreements(metrics, trial, collapse_metrics(*trial.arguments())) == {}


def broken_trials(problem: Problem) -> dict[str, Problem]:
    """Trials that some decomposition, comparison or range would choke on."""
    infinite = problem.features.copy()
    infinite[0, 0] = np.inf
    return {
        "infinite": problem.changed(features=infinite),
        "huge": problem.changed(features=problem.features * np.sqrt(np.finfo(problem.features.dtype).max)),
        "merged": problem.changed(features=np.zeros_like(problem.features)),
        "one class": problem.changed(labels=np.zeros_like(problem.labels)),
        "no weight": problem.changed(weight=np.full_like(problem.weight, np.nan)),
        "weak": problem.changed(features=problem.features * np.array([1, 1e-7, 1, 1, 1, 1], problem.features.dtype)),
    }


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_broken_trial_leaves_its_neighbours_alone(dtype: type) -> None:
    random = np.random.default_rng(0)
    labels = np.arange(20) % 4
    means = random.standard_normal((4, 6))
    features = means[labels] + 0.1 * random.standard_normal((20, 6))
    weight, bias = means + random.standard_normal((4, 6)), random.standard_normal(4)
    sound = Problem(features=features.astype(dtype), labels=labels, weight=weight, bias=bias)
    alone, *_ = together(sound, sound, sound)
    assert alone == pytest.approx(collapse_metrics(*sound.arguments()), rel=1e-12, abs=1e-15)
    for broken in broken_trials(sound).values():
        before, _, after = together(sound, broken, sound)
        assert before.reasons == after.reasons == {}
        assert before == after == alone


def test_what_float32_cannot_hold_is_measured_in_float64_beside_what_it_can() -> None:
    """Rows of the weight that share all but 1e-11 have differences whose squares are small for float32."""
    random = np.random.default_rng(1)
    labels = np.arange(40) % 4
    features = (random.standard_normal((4, 6))[labels] + 0.1 * random.standard_normal((40, 6))).astype(np.float32)
    weight = random.standard_normal((4, 6))
    sound = Problem(features=features, labels=labels, weight=weight, bias=None)
    equal = sound.changed(weight=1 + 1e-11 * weight)
    _, beside = together(sound, equal)
    exact = collapse_metrics(features.astype(np.float64), labels, equal.weight)
    assert beside.reasons == exact.reasons
    assert beside == pytest.approx(exact, rel=1e-12, nan_ok=True)


def trained_and_tested(seed: int) -> tuple[Problem, Problem]:
    random = np.random.default_rng(seed)
    means, weight = random.standard_normal((2, 5, 8))
    bias = random.standard_normal(5)
    splits = []
    for samples in (60, 45):
        labels = np.arange(samples) % 5
        features = means[labels] + 1.5 * random.standard_normal((samples, 8))
        splits.append(Problem(features=features, labels=labels, weight=weight, bias=bias))
    return splits[0], splits[1]


def class_means_of(problem: Problem) -> Measurement:
    features, labels, _ = as_trials(problem)
    return measure_features(features, labels, classes=problem.classes)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_centres_of_another_split_decide_what_is_nearest_and_nothing_else(seed: int, dtype: type) -> None:
    trained, tested = (split.changed(features=split.features.astype(dtype)) for split in trained_and_tested(seed))
    centres = class_means_of(trained).class_means
    metrics = together(tested, centres=centres)[0]
    own = collapse_metrics(*tested.arguments())
    nearest = NearestCentroid().fit(trained.features, trained.labels).predict(tested.features)
    predicted = (tested.features @ tested.weight.T + tested.bias).argmax(1)
    assert metrics["ncc_accuracy"] == np.mean(nearest == tested.labels)
    assert metrics["nc4_mismatch"] == np.mean(nearest != predicted)
    assert metrics["ncc_accuracy"] != own["ncc_accuracy"]
    others = set(own) - {"ncc_accuracy", "nc4_mismatch"}
    assert disagreements(metrics, tested, own, others) == {}


def test_stacked_trials_have_their_own_centres() -> None:
    pairs = [trained_and_tested(seed) for seed in range(3)]
    centres = torch.cat([class_means_of(trained).class_means for trained, _ in pairs])
    stacked = together(*(tested for _, tested in pairs), centres=centres)
    for (_, tested), metrics, mine in zip(pairs, stacked, centres, strict=True):
        assert metrics == pytest.approx(together(tested, centres=mine[None])[0], rel=1e-12, abs=1e-14, nan_ok=True)


@pytest.mark.parametrize("missing", [math.nan, math.inf, 1e200])
def test_a_class_without_a_centre_leaves_only_what_is_nearest_undefined(missing: float) -> None:
    trained, tested = trained_and_tested(0)
    centres = class_means_of(trained).class_means
    centres[0, 3] = missing
    metrics = together(tested, centres=centres)[0]
    own = collapse_metrics(*tested.arguments())
    assert set(metrics.reasons) - set(own.reasons) == {"ncc_accuracy", "nc4_mismatch"}
    assert "no training samples" in metrics.reasons["ncc_accuracy"]


def test_the_mean_of_a_class_without_samples_is_nan_so_that_it_is_no_centre() -> None:
    trained, tested = trained_and_tested(0)
    present = trained.labels != 2
    means = class_means_of(trained.changed(features=trained.features[present], labels=trained.labels[present]))
    assert means.class_means.isnan().all(-1).tolist() == [[False, False, True, False, False]]
    assert "ncc_accuracy" in together(tested, centres=means.class_means)[0].reasons


@pytest.mark.parametrize("scatter", [1.0, 1e-6])
def test_an_output_map_acts_on_the_logits(scatter: float) -> None:
    """h(x) = z min(1, R/|z|): the risk, the decision and the scatter of the outputs are those of h."""
    random = np.random.default_rng(5)
    labels = np.arange(24) % 4
    features = random.standard_normal((4, 6))[labels] + scatter * random.standard_normal((24, 6))
    problem = Problem(features=features, labels=labels, weight=2 * random.standard_normal((4, 6)), bias=np.ones(4))
    arrays, targets, head = as_trials(problem)
    bounded = Head(weight=head.weight, bias=head.bias, output_map=into_ball)
    metrics = measure_features(arrays, targets, classes=4, head=bounded).metrics[0]
    outputs = into_ball(arrays[0] @ head.weight[0].T + 1)
    # The outputs of h are the features of a problem whose last layer is the identity.
    expected = reference_metrics(outputs.numpy(), labels, np.eye(4))
    for name in ("risk", "risk_balanced", "accuracy", "output_collapse"):
        assert metrics[name] == pytest.approx(expected[name], rel=1e-8)
    assert metrics["risk"] != pytest.approx(collapse_metrics(*problem.arguments())["risk"], rel=1e-2)


def into_ball(outputs: Tensor) -> Tensor:
    return outputs * (3 / torch.linalg.vector_norm(outputs, dim=-1, keepdim=True)).clamp(max=1)

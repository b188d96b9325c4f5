"""Tables over classes, and classes that are left out."""

from __future__ import annotations

import numpy as np
import pytest
from metric_problems import Problem, class_means, small_problem

from nc_bench import collapse_metrics
from nc_bench.metrics import CollapseMetrics


def without_class(problem: Problem, absent: int) -> Problem:
    present = problem.labels != absent
    return problem.changed(features=problem.features[present], labels=problem.labels[present])


def test_a_row_per_class() -> None:
    trial = small_problem()
    metrics = collapse_metrics(*trial.arguments())
    table, means = metrics.per_class, class_means(trial)
    rows = means - means.mean(0)
    assert table["class"].tolist() == [0, 1, 2, 3] and table["count"].tolist() == [5] * 4
    assert table["mean_norm"] == pytest.approx(np.linalg.norm(rows, axis=1))
    assert table["weight_norm"] == pytest.approx(np.linalg.norm(trial.weight, axis=1))
    assert table["cosine"].mean() == pytest.approx(1 - metrics["nc3_alignment"])
    assert table["risk"].mean() == pytest.approx(metrics["risk_balanced"])
    assert table["accuracy"].mean() == pytest.approx(metrics["accuracy"])
    spread = [np.sum((trial.features[trial.labels == c] - means[c]) ** 2) / 5 for c in range(4)]
    assert table["variance"] == pytest.approx(np.array(spread))
    assert "risk" not in collapse_metrics(trial.features, trial.labels).per_class


def test_cosines_of_the_means_and_of_the_weight() -> None:
    trial = small_problem()
    cosines = collapse_metrics(*trial.arguments()).cosines
    rows = class_means(trial) - class_means(trial).mean(0)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert cosines["means"] == pytest.approx(units @ units.T) and cosines["weight"].shape == (4, 4)
    assert set(collapse_metrics(trial.features, trial.labels).cosines) == {"means"}


def test_no_table_of_pairs_beyond_a_thousand_classes() -> None:
    random = np.random.default_rng(0)
    metrics = collapse_metrics(random.standard_normal((1001, 2)), np.arange(1001))
    with pytest.raises(ValueError, match="for up to 1000 classes, and there are 1001"):
        _ = metrics.cosines


def skipped(problem: Problem, **options: object) -> CollapseMetrics:
    return collapse_metrics(*problem.arguments(), **options)


def test_classes_without_samples_are_left_out_of_everything() -> None:
    trial = small_problem(classes=5)
    assert trial.bias is not None
    partial = without_class(trial, 1)
    metrics = skipped(partial, absent="skip")
    others = [0, 2, 3, 4]
    names = np.array([0, -1, 1, 2, 3])
    alone = collapse_metrics(partial.features, names[partial.labels], trial.weight[others], trial.bias[others])
    assert metrics == pytest.approx(alone, nan_ok=True) and metrics.left_out == {1: 0}
    assert metrics.per_class["class"].tolist() == others
    assert "nc2_etf" in skipped(partial).reasons
    table = skipped(partial).per_class
    unknown = {name for name in table if np.isnan(table[name]).tolist() == [False, True, False, False, False]}
    assert unknown == {"mean_norm", "variance", "cosine", "risk", "accuracy"}


def test_classes_with_few_samples_are_left_out_by_name_and_count() -> None:
    trial = small_problem(classes=5)
    few = np.flatnonzero(trial.labels == 3)[:3]
    reduced = trial.changed(features=np.delete(trial.features, few, 0), labels=np.delete(trial.labels, few))
    metrics = skipped(reduced, minimum_samples=3)
    assert metrics.left_out == {3: 2}
    expected = skipped(without_class(trial, 3), absent="skip")
    assert metrics == pytest.approx(expected, nan_ok=True)
    with pytest.raises(ValueError, match="no class has 9 samples or more"):
        skipped(trial, minimum_samples=9)
    with pytest.raises(ValueError, match='absent must be "nan" or "skip"'):
        skipped(trial, absent="drop")
    with pytest.raises(ValueError, match="minimum_samples must be a positive integer"):
        skipped(trial, minimum_samples=0)

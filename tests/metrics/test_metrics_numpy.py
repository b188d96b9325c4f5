"""Against the definitions of docs/metrics.md written a second time, in plain NumPy, on random problems."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from metric_problems import Problem, class_means, disagreements, problems, shortest_length
from numpy_reference import rank_cutoff, reference_metrics

from nc_bench import collapse_metrics


@settings(max_examples=50, deadline=None)
@given(problems())
def test_float64_features(problem: Problem) -> None:
    measured = collapse_metrics(*problem.arguments())
    expected = reference_metrics(*problem.arguments())
    assert disagreements(measured, problem, expected) == {}
    assert set(measured) == set(expected) | set(measured.reasons)
    assert set(measured.reasons) <= {"isometry_defect"}


@settings(max_examples=50, deadline=None)
@given(problems())
def test_float32_features(problem: Problem) -> None:
    problem = problem.changed(features=problem.features.astype(np.float32))
    means = class_means(problem)
    # An offset of 1000 leaves float32 a grid of 6e-5, on which class means may meet.
    assume(shortest_length(means - means.mean(0)) > 1e3 * rank_cutoff(problem.features, problem.labels))
    measured = collapse_metrics(*problem.arguments())
    assert disagreements(measured, problem, reference_metrics(*problem.arguments())) == {}

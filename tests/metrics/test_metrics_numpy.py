"""Against the definitions of docs/metrics.md written a second time, in plain NumPy, on random problems."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from metric_problems import Problem, class_means, disagreements, problems, shortest_length
from numpy_reference import rank_cutoff, reference_metrics

from nc_bench import collapse_metrics
from nc_bench.metrics import METRIC_NAMES

FIRST_SET = (
    *METRIC_NAMES[: METRIC_NAMES.index("ncc_accuracy") + 1],
    "output_efficiency",
    *METRIC_NAMES[METRIC_NAMES.index("margin") :],
)
"""What `numpy_reference` computes; tests/metrics/mpmath_reference.py has all."""


@settings(max_examples=50, deadline=None)
@given(problems())
def test_float64_features(problem: Problem) -> None:
    measured = collapse_metrics(*problem.arguments())
    expected = reference_metrics(*problem.arguments())
    assert disagreements(measured, problem, expected) == {}
    assert set(FIRST_SET) == set(expected) | (set(measured.reasons) & set(FIRST_SET))
    # One dimension has two directions for more means, and means need not be separated.
    may_be_undefined = {"isometry_defect", "efficiency_within", "efficiency_pairs"}
    assert set(measured.reasons) <= may_be_undefined | {"gnc2_log_kernel", "gnc2_log_kernel_std"}


@settings(max_examples=50, deadline=None)
@given(problems())
def test_float32_features(problem: Problem) -> None:
    problem = problem.changed(features=problem.features.astype(np.float32))
    means = class_means(problem)
    # An offset of 1000 leaves float32 a grid of 6e-5, on which class means may meet.
    assume(shortest_length(means - means.mean(0)) > 1e3 * rank_cutoff(problem.features, problem.labels))
    measured = collapse_metrics(*problem.arguments())
    assert disagreements(measured, problem, reference_metrics(*problem.arguments())) == {}

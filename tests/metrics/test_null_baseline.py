"""What random directions score, against what it tends to for large d and an independent simulation."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from numpy_reference import head_geometry, simplex_geometry

from nc_bench.metrics import METRIC_NAMES, NULL_NAMES, null_baseline


def test_names_are_metrics_and_every_one_has_a_value() -> None:
    baseline = null_baseline(5, 20)
    assert tuple(baseline) == NULL_NAMES and set(NULL_NAMES) <= set(METRIC_NAMES)
    assert all(math.isfinite(value) for value in baseline.values())
    assert all(value > 0 for name, value in baseline.items() if name != "gnc2_log_kernel")


def test_the_same_numbers_whatever_was_drawn_before() -> None:
    first = null_baseline(4, 16)
    torch.manual_seed(1)
    torch.rand(10)
    state = torch.random.get_rng_state()
    assert null_baseline(4, 16) == first
    assert torch.equal(torch.random.get_rng_state(), state)


def test_many_dimensions() -> None:
    """Limits for large d, at K = 10, d = 512; tolerances of about three standard errors of the simulation."""
    baseline, width, classes = null_baseline(10, 512), 512, 10
    expected = {
        "nc2_equinorm": (1 / math.sqrt(2 * width), 0.06),
        "nc2_equinorm_w": (1 / math.sqrt(2 * width), 0.08),
        "nc2_equinorm_w_centred": (1 / math.sqrt(2 * width), 0.08),
        "nc2_equiangular": (math.sqrt(2 / (math.pi * width)), 0.03),
        "nc2_equiangular_w": (1 / (classes - 1), 0.03),
        "nc2_equiangular_w_centred": (math.sqrt(2 / (math.pi * width)), 0.03),
        "nc2_equidistant": (1 / math.sqrt(2 * width), 0.08),
        "nc2_etf": (0.137, 0.02),
        "nc3_duality": (math.sqrt(2), 0.005),
        "nc3_duality_centred": (math.sqrt(2), 0.005),
        "nc3_alignment": (1.0, 0.01),
        "nc3_alignment_centred": (1.0, 0.01),
        "centre_offset": (1 / math.sqrt(classes), 0.01),
        "nc2_etf_w_centred": (0.137, 0.02),
        "nc3_etf_centred": (math.sqrt(2), 0.02),
        "gnc2_log_kernel": (-math.log(2 * classes / (classes - 1)) / 2, 0.01),
        "gnc3_similarity_std": (1 / math.sqrt(width), 0.06),
    }
    off = {name: baseline[name] for name, (value, share) in expected.items() if abs(baseline[name] / value - 1) > share}
    assert off == {}


@pytest.mark.parametrize(("classes", "width"), [(10, 64), (3, 4), (40, 10)])
def test_against_an_independent_simulation(classes: int, width: int) -> None:
    random = np.random.default_rng(1)
    draws = []
    for _ in range(600 // classes):
        means, weight = random.standard_normal((2, classes, width))
        rows = means - means.mean(0)
        draws.append(simplex_geometry(rows) | head_geometry(weight, rows, cutoff=0.0))
    baseline = null_baseline(classes, width)
    for name in draws[0].keys() & set(NULL_NAMES):
        values = [float(draw[name]) for draw in draws]
        # Both are means of random draws: 2,000 class means here and there, so 5 standard errors of the difference.
        room = 5 * np.std(values) * math.sqrt(1 / len(values) + classes / 2000)
        assert abs(baseline[name] - np.mean(values)) <= room, name


def test_more_classes_than_the_width_can_hold_have_no_isometry() -> None:
    baseline = null_baseline(6, 4)
    assert [name for name, value in baseline.items() if math.isnan(value)] == ["isometry_defect"]
    assert math.isfinite(null_baseline(5, 4)["isometry_defect"])


def test_two_classes_are_always_a_simplex() -> None:
    baseline = null_baseline(2, 3)
    always_zero = ["nc2_equinorm", "nc2_equiangular", "nc2_equidistant", "nc2_etf", "isometry_defect"]
    always_zero += [name for name in NULL_NAMES if name.startswith("nc2_") and name.endswith("_worst")]
    assert max(baseline[name] for name in always_zero) < 1e-12
    assert baseline["nc2_equinorm_w"] > 0.1


def test_one_class_has_no_baseline() -> None:
    assert all(math.isnan(value) for value in null_baseline(1, 5).values())


@pytest.mark.parametrize(("classes", "width", "seconds"), [(10, 64, 0.25), (10, 512, 1.0), (100, 512, 1.5)])
def test_it_is_quick(classes: int, width: int, seconds: float) -> None:
    """Processor time on one thread, three or more times what a quiet machine takes: a bound, not a benchmark."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        start = time.process_time()
        null_baseline(classes, width)
        assert time.process_time() - start < seconds
    finally:
        torch.set_num_threads(threads)

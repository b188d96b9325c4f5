"""Features and head in balls with fewer dimensions than K - 1: against SciPy minima and frames built by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theory_metrics import Solution, measure
from theory_minimisers import ball_minimum, ball_prediction

from nc_bench.theory import predict
from nc_bench.theory.narrow import block_sizes

quick = settings(deadline=None, max_examples=60)


@pytest.mark.parametrize(("classes", "width"), [(5, 2), (4, 2), (5, 3)])
@pytest.mark.parametrize("radius", [0.3, 2.0])
def test_narrow_features_have_the_minimum_in_every_name(classes: int, width: int, radius: float) -> None:
    problem = {"classes": classes, "width": width, "radius": radius, "head_norm": 1.2}
    solution, values = ball_minimum(problem, starts=4), ball_prediction(problem)
    measured = measure(solution)
    assert solution.objective == pytest.approx(values["risk"], abs=1e-10)
    for name, value in values.items():
        # Small outputs leave the shape a flat valley.
        assert measured[name] == pytest.approx(value, abs=5e-5 if radius > 1 else 5e-3), name


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "width", "radius"), [(6, 4, 0.3), (7, 5, 3.0), (8, 4, 2.0), (7, 4, 2.0)])
def test_wider_narrow_features_have_the_minimum(classes: int, width: int, radius: float) -> None:
    problem = {"classes": classes, "width": width, "radius": radius}
    assert ball_minimum(problem, starts=4).objective == pytest.approx(ball_prediction(problem)["risk"], abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "width", "radius", "lower"), [(7, 4, 0.3, 1.725727), (8, 5, 1.0, 1.359083)])
def test_narrow_features_say_where_other_frames_are_better(
    classes: int, width: int, radius: float, lower: float
) -> None:
    prediction = predict("penultimate_ball", classes=classes, width=width, radius=radius)
    assert not prediction.applies and "upper bound only" in prediction.reason
    found = ball_minimum({"classes": classes, "width": width, "radius": radius}, starts=4).objective
    assert found == pytest.approx(lower, abs=1e-6)


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        ({"classes": 10, "width": 4}, "below K/2"),
        ({"classes": 3, "width": 1}, "below K/2"),
        ({"classes": 13, "width": 7}, "upper bound only"),
        ({"classes": 7, "width": 4, "head_norm": 0.9}, "here it is 1.8"),
        ({"classes": 6, "width": 4, "bias": True}, "no bias only"),
        ({"classes": 6, "width": 4, "class_weights": (2, 1, 1, 1, 1, 1)}, "equal weights"),
        ({"classes": 6, "width": 4, "nonnegative": True}, "signed"),
    ],
)
def test_narrow_features_say_where_nothing_is_known(problem: dict[str, Any], word: str) -> None:
    prediction = predict("penultimate_ball", radius=2.0, **problem)
    assert not prediction.applies
    assert word in prediction.reason


def frame(classes: int, width: int) -> np.ndarray[Any, Any]:
    """The predicted class means, of norm 1: simplices in orthogonal spaces, or a polygon."""
    if width == 2:
        angles = 2 * np.pi * np.arange(classes) / classes
        return np.stack([np.cos(angles), np.sin(angles)], 1)
    rows, column = np.zeros((classes, width)), 0
    for start, size in zip(np.cumsum((0, *block_sizes(classes, width))), block_sizes(classes, width), strict=False):
        centred = np.eye(size) - 1 / size
        basis = np.linalg.svd(centred)[2][: size - 1]
        rows[start : start + size, column : column + size - 1] = centred @ basis.T / math.sqrt(1 - 1 / size)
        column += size - 1
    return rows


@pytest.mark.parametrize(("classes", "width"), [(7, 2), (12, 2), (6, 3), (10, 8), (12, 8), (7, 5), (11, 7)])
def test_every_name_of_narrow_features_is_that_of_the_frame(classes: int, width: int) -> None:
    """Built by hand: means R y_c, and the head that is S times an isometry (on each block) in their direction."""
    means = frame(classes, width)
    left, _, right = np.linalg.svd(means, full_matrices=False)
    head = 0.8 * left @ right
    values = predict("penultimate_ball", classes=classes, width=width, radius=5.0, head_norm=0.8).values
    solution = Solution(
        features=5.0 * means,
        labels=np.arange(classes),
        weight=head,
        bias=np.zeros(classes),
        objective=values["risk"],
    )
    measured = measure(solution)
    for name, value in values.items():
        assert measured[name] == pytest.approx(value, abs=1e-10), name


@quick
@given(st.integers(2, 30), st.integers(0, 40), st.floats(0.01, 2000.0))
def test_a_narrow_risk_lies_between_the_cap_and_chance(classes: int, missing: int, radius: float) -> None:
    width = max(2, classes - 2 - missing)
    prediction = predict("penultimate_ball", classes=classes, width=width, radius=radius)
    if not prediction.applies or width >= classes - 1:
        return
    floor = predict("risk_floor", classes=classes, feature_radius=radius, head_opnorm=1.0, width=width).values
    assert floor["risk_balanced_minimum"] * (1 - 1e-9) <= prediction.values["risk"] <= math.log(classes)
    if "simplex_efficiency" in prediction.values:
        assert 0 < prediction.values["simplex_efficiency"] <= floor["simplex_efficiency_cap"] * (1 + 1e-9)
    else:
        assert prediction.values["risk"] < 1e-300

"""Features and head in balls under other losses, unequal weights and too few dimensions: against SciPy minima."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theory_metrics import Solution, measure
from theory_minimisers import best, focal, minimise_ball, squared_error

from nc_bench.theory import predict
from nc_bench.theory.narrow import block_sizes
from nc_bench.theory.unequal_ball import groups_of, signed_with_bias
from nc_bench.theory.unequal_frame import Programme, nonnegative

quick = settings(deadline=None, max_examples=60)

SKEWED = (100, 10, 1, 1)
LOSSES = {"focal": focal(2.0), "mse": squared_error}

OTHER_LOSSES: list[dict[str, Any]] = [
    {"classes": 3, "width": 3, "radius": 1.5, "loss": "focal"},
    {"classes": 4, "width": 3, "radius": 2.0, "loss": "focal", "class_weights": (5, 2, 1, 1)},
    {"classes": 3, "width": 3, "radius": 0.6, "loss": "mse"},
    {"classes": 3, "width": 4, "radius": 0.9, "loss": "mse", "nonnegative": True, "class_weights": (3, 2, 1)},
    {"classes": 3, "width": 2, "radius": 0.5, "loss": "mse", "bias": True},
    {"classes": 3, "width": 2, "radius": 1.0, "label_smoothing": 0.1},
    {"classes": 4, "width": 3, "radius": 2.0, "label_smoothing": 0.3, "class_weights": (3, 1, 1, 1)},
    {"classes": 3, "width": 3, "radius": 1.5, "label_smoothing": 0.1, "bias": True},
]
INSIDE: list[dict[str, Any]] = [
    {"classes": 3, "width": 3, "radius": 4.0, "label_smoothing": 0.3},
    {"classes": 3, "width": 4, "radius": 1.5, "loss": "mse"},
    {"classes": 3, "width": 4, "radius": 1.2, "loss": "mse", "bias": True},
]


def solve(problem: dict[str, Any], starts: int = 2) -> Any:
    options = dict(problem)
    loss = options.pop("loss", "")
    options |= {"loss": LOSSES[loss]} if loss else {}
    return best(lambda seed: minimise_ball(seed=seed, **options), starts=starts)


def predicted(problem: dict[str, Any]) -> Any:
    gamma = {"focal_gamma": 2.0} if problem.get("loss") == "focal" else {}
    prediction = predict("penultimate_ball", **problem, **gamma)
    assert prediction.applies, prediction.reason
    return prediction.values


@pytest.mark.parametrize("problem", OTHER_LOSSES, ids=str)
def test_another_loss_has_its_minimum_in_every_name(problem: dict[str, Any]) -> None:
    solution, values = solve(problem), predicted(problem)
    measured = measure(solution)
    assert solution.objective == pytest.approx(values["objective"], abs=1e-11)
    for name, value in values.items():
        assert measured[name] == pytest.approx(value, abs=2e-5), name


@pytest.mark.parametrize("problem", INSIDE, ids=str)
def test_where_the_bounds_are_not_reached_the_outputs_alone_are_determined(problem: dict[str, Any]) -> None:
    solution, values = solve(problem, starts=1), predicted(problem)
    assert solution.objective == pytest.approx(values["objective"], abs=1e-11)
    assert set(values) == {"objective", "risk", "risk_balanced", "margin", "output_collapse"}
    measured = measure(solution)
    for name in ("risk", "risk_balanced", "margin"):
        assert measured[name] == pytest.approx(values[name], abs=2e-4), name


def test_known_numbers_of_other_losses() -> None:
    values = predict("penultimate_ball", classes=10, radius=3.0, loss="focal", focal_gamma=2.0).values
    assert values["objective"] == pytest.approx(0.0245645901, abs=5e-11)
    boundary = math.log(1 + 10 * 9) / math.sqrt(10 / 9)
    assert boundary == pytest.approx(4.279, abs=5e-4)
    for radius, reached in ((boundary * (1 - 1e-9), True), (boundary * (1 + 1e-9), False)):
        smoothed = predict("penultimate_ball", classes=10, radius=radius, label_smoothing=0.1).values
        assert ("nc1_pinv" in smoothed) == reached
        assert smoothed["margin"] == pytest.approx(math.log(91), rel=1e-8)


BALLS = st.fixed_dictionaries(
    {"classes": st.integers(2, 100), "radius": st.floats(1e-2, 50.0), "head_norm": st.floats(0.1, 10.0)}
)


@quick
@given(BALLS)
def test_limits_of_the_losses(ball: dict[str, Any]) -> None:
    plain = predict("penultimate_ball", **ball).values
    without = predict("penultimate_ball", **ball, loss="focal", focal_gamma=0.0).values
    assert without["objective"] == pytest.approx(plain["risk"], rel=1e-14)
    assert {**without, "objective": 0} == {**plain, "objective": 0}
    barely = predict("penultimate_ball", **ball, label_smoothing=1e-300).values
    assert barely["margin"] == pytest.approx(min(plain["margin"], math.log(ball["classes"]) + 300 * math.log(10)))
    assert barely["objective"] == pytest.approx(plain["risk"], rel=1e-9, abs=1e-290)
    for bias in (False, True):
        squared = predict("penultimate_ball", **ball, loss="mse", bias=bias).values
        assert 0 <= squared["objective"] <= 0.5
        assert squared["margin"] <= 1


@quick
@given(BALLS, st.floats(1e-3, 0.99))
def test_more_smoothing_costs_more_and_leads_less(ball: dict[str, Any], smoothing: float) -> None:
    less = predict("penultimate_ball", **ball, label_smoothing=smoothing).values
    more = predict("penultimate_ball", **ball, label_smoothing=min(1.01 * smoothing, 0.999)).values
    assert more["objective"] >= less["objective"] * (1 - 1e-14)
    assert more["margin"] <= less["margin"]


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        ({"loss": "focal", "focal_gamma": 2.0, "bias": True}, "free bias"),
        ({"loss": "focal", "focal_gamma": 2.0, "nonnegative": True}, "non-negative"),
        ({"loss": "mse", "bias": True, "class_weights": SKEWED}, "unequal class weights"),
        ({"loss": "mse", "bias": True, "nonnegative": True}, "non-negative"),
        ({"loss": "mse", "width": 3}, "width 3"),
        ({"loss": "mse", "label_smoothing": 0.1}, "smoothing"),
        ({"label_smoothing": 0.1, "nonnegative": True}, "non-negative"),
        ({"label_smoothing": 0.1, "bias": True, "class_weights": SKEWED}, "unequal class weights"),
        ({"label_smoothing": 0.1, "width": 2}, "width 2"),
    ],
)
def test_a_loss_says_where_nothing_is_known(problem: dict[str, Any], word: str) -> None:
    prediction = predict("penultimate_ball", classes=4, radius=1.0, **problem)
    assert not prediction.applies and not prediction.values
    assert word in prediction.reason


@pytest.mark.parametrize(("classes", "width"), [(5, 2), (4, 2), (5, 3)])
@pytest.mark.parametrize("radius", [0.3, 2.0])
def test_narrow_features_have_the_minimum_in_every_name(classes: int, width: int, radius: float) -> None:
    problem = {"classes": classes, "width": width, "radius": radius, "head_norm": 1.2}
    solution, values = solve(problem, starts=4), predicted(problem)
    measured = measure(solution)
    assert solution.objective == pytest.approx(values["risk"], abs=1e-10)
    for name, value in values.items():
        # Small outputs leave the shape a flat valley.
        assert measured[name] == pytest.approx(value, abs=5e-5 if radius > 1 else 5e-3), name


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "width", "radius"), [(6, 4, 0.3), (7, 5, 3.0), (8, 4, 2.0), (7, 4, 2.0)])
def test_wider_narrow_features_have_the_minimum(classes: int, width: int, radius: float) -> None:
    problem = {"classes": classes, "width": width, "radius": radius}
    assert solve(problem, starts=4).objective == pytest.approx(predicted(problem)["risk"], abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "width", "radius", "lower"), [(7, 4, 0.3, 1.725727), (8, 5, 1.0, 1.359083)])
def test_narrow_features_say_where_other_frames_are_better(
    classes: int, width: int, radius: float, lower: float
) -> None:
    prediction = predict("penultimate_ball", classes=classes, width=width, radius=radius)
    assert not prediction.applies and "upper bound only" in prediction.reason
    found = solve({"classes": classes, "width": width, "radius": radius}, starts=4).objective
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


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"bias": True}, 0.0714161290658),
        ({"nonnegative": True}, 0.270865133),
        ({"nonnegative": True, "bias": True}, 0.109898887),
    ],
)
def test_unequal_weights_have_the_known_risks(options: dict[str, Any], value: float) -> None:
    values = predict("penultimate_ball", classes=4, radius=2.0, class_weights=SKEWED, **options).values
    digits = len(str(value).split(".")[1])
    assert round(values["objective"], digits) == value
    assert 0 <= values["duality_gap"] <= 1e-12 * values["objective"]
    weighted = float(np.array(SKEWED) @ values["class_risks"]) / sum(SKEWED)
    assert weighted == pytest.approx(values["objective"], rel=1e-13)
    assert values["risk_balanced"] == pytest.approx(sum(values["class_risks"]) / 4, rel=1e-14)


def test_two_sizes_of_ten_classes_on_a_non_negative_frame() -> None:
    weights = [1000] * 5 + [10] * 5
    values = predict("penultimate_ball", classes=10, radius=5.0, nonnegative=True, class_weights=weights).values
    assert values["objective"] == pytest.approx(0.048656, abs=5e-7)
    assert predict("penultimate_ball", classes=10, radius=5.0, nonnegative=True).values["risk"] == pytest.approx(
        0.058874, abs=5e-7
    )


UNEQUAL: list[dict[str, Any]] = [
    {"classes": 3, "width": 2, "radius": 1.0, "bias": True, "class_weights": (3, 2, 1)},
    {"classes": 4, "width": 4, "radius": 2.0, "bias": True, "class_weights": SKEWED},
    {"classes": 4, "width": 5, "radius": 1.0, "head_norm": 1.5, "nonnegative": True, "class_weights": (2, 2, 1, 1)},
    {"classes": 3, "width": 4, "radius": 1.5, "nonnegative": True, "bias": True, "class_weights": (4, 2, 1)},
]


@pytest.mark.parametrize("problem", UNEQUAL, ids=str)
def test_unequal_weights_have_the_minimum_in_every_name(problem: dict[str, Any]) -> None:
    solution, values = solve(problem, starts=4), dict(predicted(problem))
    measured = measure(solution)
    assert solution.objective == pytest.approx(values["objective"], abs=1e-11)
    for name in values.keys() - {"class_risks", "duality_gap"}:
        # A free head and bias move little weights' risks far.
        assert measured[name] == pytest.approx(values[name], abs=1e-4), name


@settings(deadline=None, max_examples=30)
@given(st.data(), st.integers(2, 12), st.floats(0.1, 20.0), st.booleans())
def test_the_programmes_are_solved_whatever_the_weights(
    data: st.DataObject, classes: int, radius: float, bias: bool
) -> None:
    weights = data.draw(st.lists(st.integers(1, 1000), min_size=classes, max_size=classes))
    frame = nonnegative(weights, radius, 1.0, bias=bias)
    assert frame.gap <= 1e-10 * frame.objective
    ball = signed_with_bias(weights, radius)
    assert ball.gap <= 1e-10 * ball.objective
    # A simplex without bias, and the equal frame, are there for both to choose.
    assert ball.objective <= predict("penultimate_ball", classes=classes, radius=radius).values["risk"] * (1 + 1e-12)
    assert frame.objective <= predict("penultimate_ball", classes=classes, radius=radius, nonnegative=True).values[
        "risk"
    ] * (1 + 1e-12)


@quick
@given(st.integers(2, 12), st.floats(0.1, 20.0), st.floats(0.5, 2.0))
def test_equal_weights_give_the_balanced_formula(classes: int, radius: float, head_norm: float) -> None:
    """The programmes themselves, and weights that differ by rounding only."""
    equal = [3.0] * classes
    problem = {"classes": classes, "radius": radius, "head_norm": head_norm}
    simplex = predict("penultimate_ball", **problem, bias=True).values["risk"]
    assert signed_with_bias(equal, radius * head_norm).objective == pytest.approx(simplex, rel=1e-11)
    frame = predict("penultimate_ball", **problem, nonnegative=True).values["risk"]
    for bias in (False, True):
        assert nonnegative(equal, radius, head_norm, bias=bias).objective == pytest.approx(frame, rel=1e-11)
        nearly = [3.0 * (1 + 1e-7 * k) for k in range(classes)]
        assert nonnegative(nearly, radius, head_norm, bias=bias).objective == pytest.approx(frame, rel=1e-5)


@pytest.mark.parametrize("bias", [False, True])
def test_a_gap_of_the_programme_bounds_what_is_lacking(bias: bool) -> None:
    """Away from the optimum the bound is above the true distance: moved biases, and an isometry that is turned."""
    weights, rng = (8, 4, 2, 1), np.random.default_rng(0)
    programme = Programme(groups=groups_of(weights), radius=1.5, head_norm=1.0, bias=bias)
    least = nonnegative(weights, 1.5, 1.0, bias=bias).objective
    block, offset = programme.solve()
    for size in (1e-3, 1e-2, 1e-1, 1.0):
        left, _, right = np.linalg.svd(block + size * rng.standard_normal(block.shape), full_matrices=False)
        moved = offset + bias * np.concatenate([[0.0], size * rng.standard_normal(3)])
        value, slope, bias_slope = programme.evaluate(left @ right, moved)
        reach = 3.0 + np.abs(moved).max() + math.log(8)
        bound = (slope * (left @ right)).sum() + np.linalg.norm(slope, "nuc") + bias * np.abs(bias_slope).sum() * reach
        assert 0 < value - least <= bound * (1 + 1e-12)

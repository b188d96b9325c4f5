"""Weight decay, mean constraints and the frozen head: against SciPy minima of the objectives themselves."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theory_metrics import Solution, measure, unit
from theory_minimisers import best, cross_entropy, minimise_decay, minimise_energy, squared_error

from nc_bench.theory import predict

quick = settings(deadline=None, max_examples=60)

DECAY = {"head_decay": 2e-2, "feature_decay": 5e-3}
LOSSES = {"cross_entropy": cross_entropy, "mse": squared_error}

PROBLEMS = [
    {"classes": 2, "per_class": 2, "width": 1},
    {"classes": 3, "per_class": 1, "width": 2},
    {"classes": 4, "per_class": 2, "width": 6, "bias": True},
    {"classes": 3, "per_class": 2, "width": 3, "label_smoothing": 0.1},
    {"classes": 2, "per_class": 1, "width": 2, "nonnegative": True},
    {"classes": 2, "per_class": 1, "width": 3, "nonnegative": True, "bias": True},
    {"classes": 3, "per_class": 2, "width": 4, "nonnegative": True},
    {"classes": 3, "per_class": 1, "width": 4, "nonnegative": True, "bias": True, "label_smoothing": 0.05},
    {"classes": 2, "per_class": 1, "width": 2, "loss": "mse"},
    {"classes": 3, "per_class": 2, "width": 3, "loss": "mse"},
    {"classes": 3, "per_class": 2, "width": 2, "loss": "mse", "bias": True},
    {"classes": 3, "per_class": 2, "width": 4, "loss": "mse", "nonnegative": True},
    {"classes": 3, "per_class": 2, "width": 4, "loss": "mse", "nonnegative": True, "bias": True},
    {"classes": 2, "per_class": 2, "width": 2, "loss": "mse", "nonnegative": True, "bias": True},
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_weight_decay_is_the_minimum_in_every_name(problem: dict[str, object]) -> None:
    """The minimum found by SciPy, with its metrics worked out from their definitions, has every value."""
    prediction = predict("weight_decay", **problem, **DECAY)
    options = dict(problem)
    counts = [options.pop("per_class")] * options.pop("classes")
    loss = LOSSES[options.pop("loss", "cross_entropy")]
    solution = best(
        lambda seed: minimise_decay(counts, loss=loss, seed=seed, **DECAY, **options),
        starts=3,
    )
    measured = measure(solution)
    assert prediction.applies, prediction.reason
    assert solution.objective == pytest.approx(prediction.values["objective"], abs=1e-13)
    for name, value in prediction.values.items():
        assert measured[name] == pytest.approx(value, abs=2e-7), name


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_two_classes_with_a_bias_share_non_negative_norm_as_they_like(loss: str) -> None:
    """Equal minima, different single norms: the names that are left out there are indeed not determined."""
    problem = {"classes": 2, "per_class": 1, "nonnegative": True, "bias": True, "loss": loss}
    values = predict("weight_decay", **problem, **DECAY).values
    assert not {"feature_norm", "cosine", "centre_offset"} & set(values)
    solve = partial(minimise_decay, [1, 1], 3, loss=LOSSES[loss], nonnegative=True, bias=True, **DECAY)
    first, second = solve(seed=0), solve(seed=1)
    assert first.objective == pytest.approx(second.objective, abs=1e-14)
    norms = [np.sort(np.linalg.norm(solution.features, axis=1)) for solution in (first, second)]
    assert np.abs(norms[0] - norms[1]).max() > 1e-2


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize(("loss", "bias"), [("cross_entropy", False), ("mse", False), ("mse", True)])
def test_decay_wins_exactly_where_predicted(loss: str, bias: bool, nonnegative: bool) -> None:
    """The threshold of the all-zero optimum, from both sides, against the minimum itself."""
    classes, per_class, smoothing = 3, 2, 0.1 if loss == "cross_entropy" else 0.0
    surcharge = math.sqrt(1.5) if nonnegative and (bias or loss == "cross_entropy") else 1.0
    critical = ((1 - smoothing) / classes / surcharge) ** 2 / per_class
    for factor, dead in ((0.9, False), (1.1, True)):
        problem: dict[str, Any] = {"nonnegative": nonnegative, "label_smoothing": smoothing, "bias": bias}
        decay = {"head_decay": critical * factor, "feature_decay": 1.0}
        values = predict("weight_decay", classes=classes, per_class=per_class, loss=loss, **problem, **decay).values

        def solve(seed: int, options: dict[str, Any] = {**problem, **decay}) -> Solution:  # noqa: B006
            return minimise_decay([per_class] * classes, 4, loss=LOSSES[loss], seed=seed, **options)

        solution = best(solve, starts=3)
        assert (values["margin"] == 0) == dead
        assert ("nc2_etf" in values) == (not dead)
        assert solution.objective == pytest.approx(values["objective"], abs=1e-12)
        assert np.linalg.norm(solution.weight, axis=1) == pytest.approx(values["head_row_norm"], abs=1e-4)


def test_exactly_at_the_threshold_everything_is_zero() -> None:
    values = predict("weight_decay", classes=2, per_class=1, head_decay=0.5, feature_decay=0.5).values
    assert values["margin"] == 0
    assert values["objective"] == values["risk"] == pytest.approx(math.log(2), rel=1e-15)


@quick
@given(
    st.integers(2, 50),
    st.integers(1, 100),
    st.floats(1e-6, 1.0),
    st.floats(1e-6, 1.0),
    st.floats(0.01, 100.0),
    st.booleans(),
    st.booleans(),
)
def test_decay_moved_from_head_to_features_rescales_the_norms_only(
    classes: int,
    per_class: int,
    head_decay: float,
    feature_decay: float,
    factor: float,
    nonnegative: bool,
    squared: bool,
) -> None:
    problem = {
        "classes": classes,
        "per_class": per_class,
        "nonnegative": nonnegative,
        "loss": "mse" if squared else "cross_entropy",
    }
    plain = predict("weight_decay", head_decay=head_decay, feature_decay=feature_decay, **problem).values
    moved = predict(
        "weight_decay", head_decay=head_decay * factor**2, feature_decay=feature_decay / factor**2, **problem
    ).values
    assert moved["objective"] == pytest.approx(plain["objective"], rel=1e-9)
    assert moved["margin"] == pytest.approx(plain["margin"], rel=1e-6, abs=1e-9)
    assert moved["head_row_norm"] == pytest.approx(plain["head_row_norm"] / factor, rel=1e-6, abs=1e-6)
    assert moved["feature_norm"] == pytest.approx(plain["feature_norm"] * factor, rel=1e-6, abs=1e-6)


@quick
@given(st.integers(2, 50), st.integers(1, 100), st.floats(1e-9, 1e-1), st.booleans())
def test_more_decay_means_more_objective_and_less_margin(
    classes: int, per_class: int, decay: float, nonnegative: bool
) -> None:
    problem = {"classes": classes, "per_class": per_class, "feature_decay": 1e-3, "nonnegative": nonnegative}
    less = predict("weight_decay", head_decay=decay, **problem).values
    more = predict("weight_decay", head_decay=1.5 * decay, **problem).values
    assert more["objective"] > less["objective"] or less["margin"] < 1e-6
    assert more["margin"] < less["margin"] or less["margin"] == 0
    assert less["objective"] <= math.log(classes) * (1 + 1e-14)
    signed = predict("weight_decay", head_decay=decay, **{**problem, "nonnegative": False}).values
    assert signed["objective"] <= less["objective"] * (1 + 1e-14)


@pytest.mark.parametrize("decay", [1e-300, 5e-324])
def test_vanishing_decay_stays_finite(decay: float) -> None:
    values = predict("weight_decay", classes=10, per_class=5, head_decay=decay, feature_decay=decay).values
    assert 600 < values["margin"] < 800
    assert all(math.isfinite(value) for value in values.values())


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        ({"width": 2}, "width 2"),
        ({"width": 3, "nonnegative": True}, "width 3"),
        ({"width": 3, "loss": "mse"}, "width 3"),
        ({"width": 3, "loss": "mse", "bias": True, "nonnegative": True}, "width 3"),
        ({"class_weights": (1, 1, 1, 2)}, "weights"),
        ({"loss": "mse", "label_smoothing": 0.1}, "smoothing"),
    ],
)
def test_weight_decay_says_why_it_does_not_apply(problem: dict[str, object], word: str) -> None:
    prediction = predict("weight_decay", classes=4, per_class=1, **DECAY, **problem)
    assert not prediction.applies
    assert word in prediction.reason


@pytest.mark.parametrize(("classes", "width", "bias"), [(2, 1, False), (3, 2, False), (3, 4, True)])
def test_layer_peeled_is_the_minimum_in_every_name(classes: int, width: int, bias: bool) -> None:
    prediction = predict("layer_peeled", classes=classes, head_energy=0.7, feature_energy=2.0, width=width)
    solution = minimise_energy(classes, width, 0.7, 2.0, bias=bias)
    measured = measure(solution)
    for name, value in prediction.values.items():
        assert measured[name] == pytest.approx(value, abs=1e-5), name
    assert solution.objective == pytest.approx(prediction.values["risk"], abs=1e-12)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("classes", "per_class", "feature_decay"), [(2, 3, 1e-4), (3, 2, 0.01), (4, 1, 0.5)])
def test_frozen_head_is_the_minimum_in_every_name(
    classes: int, per_class: int, feature_decay: float, bias: bool
) -> None:
    head = np.pad(unit(np.eye(classes) - 1 / classes), ((0, 0), (0, 1)))
    solution = minimise_decay([per_class] * classes, classes + 1, 0.0, feature_decay, frozen_head=head, bias=bias)
    measured = measure(solution)
    prediction = predict("frozen_simplex_head", classes=classes, per_class=per_class, feature_decay=feature_decay)
    for name, value in prediction.values.items():
        assert measured[name] == pytest.approx(value, abs=2e-7), name


@quick
@given(st.integers(2, 100), st.integers(1, 1000), st.floats(1e-250, 1e3))
def test_frozen_head_solves_its_equation(classes: int, per_class: int, feature_decay: float) -> None:
    values = predict("frozen_simplex_head", classes=classes, per_class=per_class, feature_decay=feature_decay).values
    norm, margin = values["feature_norm"], values["margin"]
    weight = (classes - 1) * math.exp(-margin)
    left = weight / (1 + weight) * classes / (classes - 1)
    right = feature_decay * classes * per_class * norm
    assert left == pytest.approx(right, rel=1e-11)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("layer_peeled", {"head_energy": 1.0, "feature_energy": 1.0}),
        ("frozen_simplex_head", {"per_class": 1, "feature_decay": 0.1}),
    ],
)
def test_balanced_settings_refuse_narrow_layers_and_unequal_weights(setting: str, problem: dict[str, object]) -> None:
    assert predict(setting, classes=4, width=3, class_weights=(2, 2, 2, 2), **problem).applies
    assert "width" in predict(setting, classes=4, width=2, **problem).reason
    assert "weights" in predict(setting, classes=4, class_weights=(2, 2, 2, 1), **problem).reason

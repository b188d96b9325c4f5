"""Deep factors, mixup and the clock of gradient flow: against SciPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theory_descents import deep_objective, flow, mixed_sample
from theory_metrics import Solution, measure, unit
from theory_minimisers import squared_error

from nc_bench.theory import predict
from nc_bench.theory.cyclic_orbits import best_cyclic_orbit
from nc_bench.theory.deep_linear import _best, simplex_and_pairs

quick = settings(deadline=None, max_examples=60)


@pytest.mark.parametrize(
    ("classes", "layers", "shape", "objective"),
    [
        (4, 3, "simplex", 0.01889487),
        (4, 4, "pairs", 0.01659518),
        (6, 3, "pairs", 0.02956847),
        (8, 3, "pairs", 0.03980587),
        (12, 3, "pairs", 0.06021564),
        (10, 2, "simplex", 0.07112918),
    ],
)
def test_depth_has_the_known_numbers(classes: int, layers: int, shape: str, objective: float) -> None:
    values = predict("deep_linear", classes=classes, layers=layers, decay=1e-3).values
    assert values["shape"] == shape
    assert round(values["objective"], 8) == objective


@pytest.mark.parametrize(
    ("classes", "layers", "decay", "per_class"),
    [
        (2, 3, 0.05, 1),
        (3, 3, 1e-2, 1),
        (3, 4, 1e-3, 2),
        (4, 4, 1e-2, 1),
        (3, 8, 1e-2, 1),
        (4, 2, 0.1, 2),
        (6, 3, 1e-2, 1),
    ],
)
def test_depth_is_the_minimum(classes: int, layers: int, decay: float, per_class: int) -> None:
    prediction = predict("deep_linear", classes=classes, layers=layers, decay=decay, per_class=per_class)
    found = deep_objective(classes, layers, decay, per_class=per_class, starts=8)
    assert found == pytest.approx(prediction.values["objective"], abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "layers", "decay"), [(6, 4, 1e-2), (8, 3, 1e-2), (10, 3, 1e-2), (12, 3, 3e-3)])
def test_depth_is_the_minimum_at_the_edge_of_its_domain(classes: int, layers: int, decay: float) -> None:
    prediction = predict("deep_linear", classes=classes, layers=layers, decay=decay)
    found = deep_objective(classes, layers, decay, width=7, starts=20)
    assert found == pytest.approx(prediction.values["objective"], abs=1e-9)


@pytest.mark.parametrize(
    ("classes", "layers", "decay", "lower"),
    [(6, 5, 1e-3, 0.02402109), (5, 3, 1e-3, 0.0250517), (3, 4, 0.1345, 0.992386), (3, 6, 0.1268, 1.065329)],
)
def test_depth_says_where_lower_ranks_are_better(classes: int, layers: int, decay: float, lower: float) -> None:
    prediction = predict("deep_linear", classes=classes, layers=layers, decay=decay)
    assert not prediction.applies and "upper bounds only" in prediction.reason
    found = deep_objective(classes, layers, decay, starts=24)
    assert found <= lower + 1e-5
    assert found < float(_best(classes, layers, decay, 1)["objective"]) - 2e-5


@pytest.mark.parametrize(("classes", "layers"), [(14, 3), (16, 3), (8, 4), (6, 6), (9, 4), (5, 3), (3, 9)])
def test_depth_is_not_known_there_at_all(classes: int, layers: int) -> None:
    assert not predict("deep_linear", classes=classes, layers=layers, decay=1e-3).applies


@pytest.mark.parametrize(("layers", "decay", "per_class"), [(2, 0.05, 2), (3, 0.05, 1), (4, 0.02, 2), (3, 0.5, 1)])
def test_depth_of_squared_error_is_the_minimum(layers: int, decay: float, per_class: int) -> None:
    values = predict("deep_linear", classes=3, layers=layers, decay=decay, per_class=per_class, loss="mse").values
    found = deep_objective(3, layers, decay, per_class=per_class, loss=squared_error, starts=12)
    assert found == pytest.approx(values["objective"], abs=1e-11)
    assert values["shape"] == ("zero" if values["margin"] == 0 else "frame")


@quick
@given(st.integers(2, 30), st.integers(1, 50), st.floats(1e-8, 0.5))
def test_two_layers_are_the_balanced_decay(classes: int, per_class: int, decay: float) -> None:
    for loss in ("cross_entropy", "mse"):
        deep = predict("deep_linear", classes=classes, layers=2, decay=decay, per_class=per_class, loss=loss).values
        problem = {"classes": classes, "per_class": per_class, "loss": loss}
        plain = predict("weight_decay", head_decay=decay, feature_decay=decay, **problem).values
        if deep["shape"] == "pairs":  # as good as the simplex to rounding: only where there are two or no margin
            assert classes == 2 or plain["margin"] < 1e-6
        assert deep["objective"] == pytest.approx(plain["objective"], rel=1e-12)
        assert deep["margin"] == pytest.approx(plain["margin"], rel=1e-6, abs=1e-6)


@quick
@given(st.integers(3, 4), st.integers(3, 8), st.floats(1e-7, 1e-3), st.integers(1, 9))
def test_samples_act_like_decay_in_deep_factors(classes: int, layers: int, decay: float, per_class: int) -> None:
    problem = {"classes": classes, "layers": layers}
    many = predict("deep_linear", **problem, decay=decay, per_class=per_class).values
    scaled = predict("deep_linear", **problem, decay=decay * per_class ** (1 / layers)).values
    assert many["objective"] == pytest.approx(scaled["objective"], rel=1e-12)


@pytest.mark.parametrize(
    ("classes", "share", "decay"), [(3, 0.3, 1e-3), (4, 0.5, 0.1), (10, 0.9, 1e-2), (5, 1.0, 1e-2)]
)
def test_a_mixed_sample_has_the_best_feature(classes: int, share: float, decay: float) -> None:
    values = predict(
        "frozen_simplex_head", classes=classes, per_class=2, feature_decay=decay / classes / 2, mixup=share
    ).values
    feature, objective = mixed_sample(classes, decay, share)
    head = unit(np.eye(classes) - 1 / classes)
    assert objective == pytest.approx(values["objective"], abs=1e-12)
    assert feature == pytest.approx(values["a"] * head[0] + values["b"] * head[1], abs=1e-6)
    assert np.linalg.norm(feature) == pytest.approx(values["feature_norm"], abs=1e-6)


@quick
@given(st.integers(3, 100), st.integers(1, 100), st.floats(1e-12, 10.0), st.floats(0.0, 1.0))
def test_mixup_solves_its_equations_and_ends_at_plain_samples(
    classes: int, per_class: int, decay: float, share: float
) -> None:
    problem = {"classes": classes, "per_class": per_class, "feature_decay": decay}
    values = predict("frozen_simplex_head", **problem, mixup=share).values
    a, b, others = values["a"], values["b"], classes - 1
    logits: Any = np.array([a - b / others, b - a / others] + [-(a + b) / others] * (classes - 2))
    p = np.exp(logits - np.logaddexp.reduce(logits))
    assert decay * classes * per_class * a == pytest.approx(share - p[0] + p[2], abs=1e-11)
    assert decay * classes * per_class * b == pytest.approx(1 - share - p[1] + p[2], abs=1e-11)
    swapped = predict("frozen_simplex_head", **problem, mixup=1 - share).values
    assert swapped["a"] == pytest.approx(b, rel=1e-6, abs=1e-6) or 0 < 1 - share < 1e-9
    plain = predict("frozen_simplex_head", **problem).values
    end = predict("frozen_simplex_head", **problem, mixup=1.0).values
    assert end["objective"] == pytest.approx(plain["objective"], rel=1e-9)
    assert end["feature_norm"] == pytest.approx(plain["feature_norm"], rel=1e-6, abs=1e-6)


def test_mixup_of_two_classes_is_not_determined() -> None:
    refused = predict("frozen_simplex_head", classes=2, per_class=1, feature_decay=0.1, mixup=0.5)
    assert not refused.applies and "two classes" in refused.reason


@pytest.mark.parametrize(("classes", "per_class", "time"), [(4, 2, 30.0), (3, 1, 5.0), (5, 3, 300.0)])
def test_the_flow_follows_its_clock(classes: int, per_class: int, time: float) -> None:
    """Explicit integration of all coordinates of features and head, from the simplex."""
    simplex = unit(np.eye(classes) - 1 / classes)
    labels = np.repeat(np.arange(classes), per_class)
    start = 0.2
    scale = math.sqrt(start * (classes - 1) / classes / math.sqrt(per_class))
    features, weight = flow(scale * simplex[labels], scale * math.sqrt(per_class) * simplex, labels, time)
    problem = {"classes": classes, "per_class": per_class, "start_margin": start}
    values = predict("gradient_flow", **problem, time=time).values
    solution = Solution(features=features, labels=labels, weight=weight, bias=np.zeros(classes), objective=math.nan)
    measured = measure(solution)
    for name, value in values.items():
        assert measured[name] == pytest.approx(value, abs=1e-7), name


@quick
@given(st.integers(2, 100), st.integers(1, 100), st.floats(1e-3, 20.0), st.floats(0.0, 1e6), st.floats(0.0, 1e6))
def test_the_clock_adds_up(classes: int, per_class: int, start: float, first: float, second: float) -> None:
    problem = {"classes": classes, "per_class": per_class}
    middle = predict("gradient_flow", **problem, time=first, start_margin=start).values["margin"]
    end = predict("gradient_flow", **problem, time=second, start_margin=middle).values["margin"]
    once = predict("gradient_flow", **problem, time=first + second, start_margin=start).values["margin"]
    assert end == pytest.approx(once, rel=1e-9)
    assert start <= middle <= end


def test_the_margin_grows_like_the_logarithm_of_time() -> None:
    """Slope 1 in log t, after the constant: e^m/m = 2 t/sqrt(n) to leading order."""
    problem = {"classes": 4, "per_class": 5, "start_margin": 0.1}
    early, late = (predict("gradient_flow", **problem, time=time).values["margin"] for time in (1e30, 1e60))
    assert (late - math.log(late) - early + math.log(early)) / (30 * math.log(10)) == pytest.approx(1, abs=1e-3)
    with pytest.raises(ValueError, match="700"):
        predict("gradient_flow", **{**problem, "start_margin": 699.0}, time=1e303)


@pytest.mark.parametrize(
    ("classes", "layers", "objective", "rank"),
    [(6, 5, 0.0240211, 2), (6, 6, 0.0224342, 2), (8, 4, 0.0332955, 3), (8, 5, 0.0300262, 3), (5, 4, 0.0219057, 2)],
)
def test_orbits_of_the_cyclic_group_are_what_descent_finds_below_simplex_and_pairs(
    classes: int, layers: int, objective: float, rank: int
) -> None:
    """The objectives are the best of 96 descents over all factors, which know nothing of orbits."""
    orbit = best_cyclic_orbit(classes=classes, layers=layers, decay=1e-3)
    assert orbit.objective == pytest.approx(objective, rel=3e-6) and orbit.rank == rank
    assert orbit.objective < min(simplex_and_pairs(classes, layers, 1e-3)) * (1 - 1e-3)


@pytest.mark.parametrize(("classes", "layers"), [(4, 3), (6, 3), (6, 4), (8, 3), (10, 2), (5, 2)])
def test_simplex_and_pairs_are_orbits(classes: int, layers: int) -> None:
    orbit = best_cyclic_orbit(classes=classes, layers=layers, decay=1e-3)
    assert orbit.objective == pytest.approx(min(simplex_and_pairs(classes, layers, 1e-3)), rel=1e-8)

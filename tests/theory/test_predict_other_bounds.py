"""Bounds in the mean, unit vectors with a temperature, l^p balls of features, and codes: against SciPy minima."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theory_descents import contrastive_objective, unit_softmax_objective, widest_margin
from theory_metrics import measure
from theory_minimisers import best, minimise_ball

from nc_bench.theory import predict

quick = settings(deadline=None, max_examples=60)


@pytest.mark.parametrize(
    ("problem", "bounds", "mean_of"),
    [
        ({"classes": 3, "width": 2}, {"radius": 1.5, "head_energy": 0.7}, "head"),
        ({"classes": 4, "width": 5, "bias": True}, {"radius": 1.2, "head_energy": 1.3}, "head"),
        ({"classes": 3, "width": 3}, {"feature_energy": 2.0, "head_norm": 0.8}, "features"),
        ({"classes": 4, "width": 3, "bias": True, "per_class": 2}, {"feature_energy": 1.5, "head_norm": 1}, "features"),
    ],
)
def test_mixed_bounds_are_the_minimum_in_every_name(
    problem: dict[str, Any], bounds: dict[str, float], mean_of: str
) -> None:
    radius = bounds.get("radius") or math.sqrt(bounds["feature_energy"])
    head_norm = bounds.get("head_norm") or math.sqrt(bounds["head_energy"])
    solution = best(lambda seed: minimise_ball(radius=radius, head_norm=head_norm, mean_of=mean_of, **problem), 2)
    measured = measure(solution)
    values = predict("mixed_bounds", classes=problem["classes"], width=problem["width"], **bounds).values
    assert solution.objective == pytest.approx(values["risk"], abs=1e-11)
    for name, value in values.items():
        assert measured[name] == pytest.approx(value, abs=2e-5), name


@quick
@given(st.integers(2, 100), st.floats(0.01, 20.0), st.floats(0.01, 20.0))
def test_mixed_bounds_lie_between_the_bounds_for_each_and_in_the_mean(classes: int, size: float, norm: float) -> None:
    """Rows of norm e have |W|_op <= e sqrt(K/(K-1)) at best, and a mean allows what a bound for each allows."""
    stretch = math.sqrt(classes / (classes - 1))
    head = predict("mixed_bounds", classes=classes, radius=size, head_energy=norm**2).values
    same = predict("penultimate_ball", classes=classes, radius=size, head_norm=norm * stretch).values
    means = predict("layer_peeled", classes=classes, feature_energy=size**2, head_energy=norm**2).values
    assert head["risk"] == pytest.approx(same["risk"], rel=1e-9)
    assert head["risk"] == pytest.approx(means["risk"], rel=1e-9)
    features = predict("mixed_bounds", classes=classes, feature_energy=size**2, head_norm=norm).values
    pointwise = predict("penultimate_ball", classes=classes, radius=size, head_norm=norm).values
    assert features["margin"] == pytest.approx(pointwise["margin"], rel=1e-12)
    normalized = predict("normalized_softmax", classes=classes, temperature=norm).values
    bounded = predict("mixed_bounds", classes=classes, radius=1, head_energy=norm**-2).values
    assert normalized == pytest.approx(bounded, rel=1e-12)


def test_mixed_bounds_refuse_other_pairs() -> None:
    for bounds in ({}, {"radius": 1}, {"radius": 1, "head_norm": 1}, {"feature_energy": 1, "head_energy": 1}):
        with pytest.raises(ValueError, match="penultimate_ball"):
            predict("mixed_bounds", classes=3, **bounds)


@pytest.mark.parametrize(("classes", "width", "temperature"), [(2, 2, 0.5), (3, 2, 0.3), (5, 6, 1.0)])
def test_normalised_softmax_is_the_minimum(classes: int, width: int, temperature: float) -> None:
    values = predict("normalized_softmax", classes=classes, width=width, temperature=temperature).values
    formula = math.log1p((classes - 1) * math.exp(-classes / (classes - 1) / temperature))
    assert values["risk"] == pytest.approx(formula, rel=1e-13)
    assert unit_softmax_objective(classes, temperature, width) == pytest.approx(values["risk"], abs=1e-11)


@pytest.mark.parametrize(
    ("classes", "width", "p", "tight"),
    [(4, 3, math.inf, True), (4, 3, 4.0, True), (3, 2, math.inf, False), (3, 4, 3.0, False), (2, 3, 3.0, True)],
)
def test_the_floor_in_an_lp_ball_is_reached_exactly_where_it_is_tight(
    classes: int, width: int, p: float, tight: bool
) -> None:
    values = predict("feature_lp_ball", classes=classes, radius=1.5, p=p, width=width).values
    solution = best(lambda seed: minimise_ball(classes, width, 1.5, p=p, seed=seed), starts=3)
    assert values["tight"] == ("yes" if tight else "no")
    assert values["reach"] == pytest.approx(1.5 * width ** (0.5 - 1 / p), rel=1e-15)
    if not tight:
        assert solution.objective > values["risk_floor"] + 1e-4
        assert "risk" not in values
        return
    assert solution.objective == pytest.approx(values["risk_floor"], abs=1e-11)
    measured = measure(solution)
    for name in values.keys() - {"tight", "reach"}:
        assert measured[name] == pytest.approx(values[name], abs=1e-4), name


@pytest.mark.parametrize(
    ("classes", "width", "tight"),
    [
        *((8, 7, "yes"), (4, 6, "yes"), (6, 10, "yes"), (12, 11, "yes"), (8, 14, "yes")),
        *((4, 4, "no"), (5, 4, "no"), (6, 5, "no"), (10, 9, "no"), (3, 2, "no"), (4, 2, "no")),
        *((668, 667, "not known"), (664, 663, "yes")),
    ],
)
def test_where_sign_vectors_are_a_simplex(classes: int, width: int, tight: str) -> None:
    assert predict("feature_lp_ball", classes=classes, radius=1.0, p=math.inf, width=width).values["tight"] == tight


def test_an_lp_ball_at_two_is_the_euclidean_one_and_below_two_nothing_is_known() -> None:
    euclidean = predict("penultimate_ball", classes=5, radius=2.0, head_norm=0.7).values
    values = predict("feature_lp_ball", classes=5, radius=2.0, p=2, width=4, head_norm=0.7).values
    assert {name: values[name] for name in euclidean} == euclidean
    for classes in (2, 3, 10):
        refused = predict("feature_lp_ball", classes=classes, radius=1.0, p=1.5, width=20)
        assert not refused.applies and "conjecture" in refused.reason


@quick
@given(st.integers(2, 12), st.floats(2.0, 50.0), st.integers(1, 30), st.integers(0, 10**6))
def test_no_head_is_below_the_floor_of_an_lp_ball(classes: int, p: float, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.choice([-1.0, 1.0], size=(classes, width)) + 0.3 * rng.standard_normal((classes, width))
    features *= 2.0 / np.linalg.norm(features, p, axis=1, keepdims=True)
    left, _, right = np.linalg.svd(features - features.mean(0), full_matrices=False)
    logits = features @ (left @ right).T
    risk = np.mean(np.log(np.exp(logits - np.diag(logits)[:, None]).sum(1)))
    floor = predict("feature_lp_ball", classes=classes, radius=2.0, p=p, width=width).values["risk_floor"]
    assert risk >= floor * (1 - 1e-12)


@pytest.mark.parametrize(
    ("classes", "width", "margin"), [(3, 2, 1.5), (4, 3, 4 / 3), (5, 2, None), (4, 2, 1.0), (5, 3, 1.0), (2, 1, 2.0)]
)
def test_a_softmax_code_has_the_widest_margin(classes: int, width: int, margin: float | None) -> None:
    predicted = predict("softmax_code", classes=classes, width=width).values["margin"]
    assert predicted == pytest.approx(1 - math.cos(2 * math.pi / classes) if margin is None else margin, rel=1e-15)
    assert widest_margin(classes, width) == pytest.approx(predicted, abs=1e-7)


def test_softmax_codes_beyond_twice_the_width_are_known_in_the_plane_only() -> None:
    assert predict("softmax_code", classes=100, width=2).values["margin"] == pytest.approx(1 - math.cos(math.pi / 50))
    refused = predict("softmax_code", classes=7, width=3)
    assert not refused.applies and "2d" in refused.reason


@pytest.mark.parametrize(
    ("classes", "per_class", "width", "temperature", "nonnegative"),
    [(3, 2, 2, 0.5, False), (4, 3, 5, 0.2, False), (2, 2, 2, 1.0, False), (3, 2, 3, 0.5, True), (3, 3, 4, 0.3, True)],
)
def test_supervised_contrastive_is_the_minimum(
    classes: int, per_class: int, width: int, temperature: float, nonnegative: bool
) -> None:
    values = predict(
        "supervised_contrastive",
        classes=classes,
        per_class=per_class,
        temperature=temperature,
        nonnegative=nonnegative,
        width=width,
    ).values
    found = contrastive_objective(classes, per_class, temperature, width, nonnegative=nonnegative)
    assert found == pytest.approx(values["objective"], abs=1e-10)


def test_contrastive_needs_the_width_of_its_shape_and_balance() -> None:
    problem = {"classes": 4, "per_class": 2, "temperature": 0.5}
    assert "width 2" in predict("supervised_contrastive", **problem, width=2).reason
    assert "width 3" in predict("supervised_contrastive", **problem, width=3, nonnegative=True).reason
    assert "weights" in predict("supervised_contrastive", **problem, class_weights=(1, 1, 1, 2)).reason
    for setting, bounds in (("mixed_bounds", {"radius": 1.0, "head_energy": 1.0}), ("normalized_softmax", {})):
        own = bounds or {"temperature": 1.0}
        assert "width 2" in predict(setting, classes=4, width=2, **own).reason
        assert "weights" in predict(setting, classes=4, class_weights=(1, 1, 1, 2), **own).reason

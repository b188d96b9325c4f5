"""Norm-bounded classifiers: printed numbers, SciPy minima of the problems themselves, laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp
from theory_metrics import deviations, measure
from theory_minimisers import minimise_ball

from nc_bench.theory import predict

quick = settings(deadline=None, max_examples=60)

RADII = st.floats(1e-3, 200.0)
CLASSES = st.integers(2, 200)


@pytest.mark.parametrize(
    ("p", "alpha", "beta", "risk"),
    [(2.0, 1.897367, -0.210819, 0.738657592), (3.0, 1.817121, -0.605707, 0.586694377)],
)
def test_final_layer_has_the_known_numbers(p: float, alpha: float, beta: float, risk: float) -> None:
    values = predict("final_layer_ball", classes=10, radius=2, p=p).values
    assert values["alpha"] == pytest.approx(alpha, abs=5e-7)
    assert values["beta"] == pytest.approx(beta, abs=5e-7)
    assert values["risk"] == pytest.approx(risk, abs=5e-10)


@pytest.mark.parametrize("p", [1.2, 1.5, 2.0, 3.0, 7.0])
@pytest.mark.parametrize(("classes", "radius"), [(2, 1.0), (3, 2.5), (5, 1.5)])
def test_final_layer_is_the_minimum_over_one_output(classes: int, radius: float, p: float) -> None:
    """min over |z|_p <= R of logsumexp(z) - z_0."""
    start = np.random.default_rng(0).standard_normal(classes)
    result = minimize(
        lambda z: logsumexp(z) - z[0],
        0.5 * radius * start / np.linalg.norm(start, p),
        method="SLSQP",
        constraints=[{"type": "ineq", "fun": lambda z: radius**p - (np.abs(z) ** p).sum()}],
        options={"ftol": 1e-14, "maxiter": 500},
    )
    values = predict("final_layer_ball", classes=classes, radius=radius, p=p).values
    assert result.fun == pytest.approx(values["risk"], abs=1e-9)
    assert result.x == pytest.approx([values["alpha"]] + [values["beta"]] * (classes - 1), abs=2e-4)


@quick
@given(CLASSES, RADII, st.floats(1.01, 50.0))
def test_final_layer_solves_its_lagrange_equations(classes: int, radius: float, p: float) -> None:
    values = predict("final_layer_ball", classes=classes, radius=radius, p=p).values
    alpha, beta = values["alpha"], values["beta"]
    assert alpha**p + (classes - 1) * abs(beta) ** p == pytest.approx(radius**p, rel=1e-11)
    assert (classes - 1) * (-beta) ** (p - 1) == pytest.approx(alpha ** (p - 1), rel=1e-11)
    assert values["output_pair_distance"] == pytest.approx(math.sqrt(2) * (alpha - beta))


@pytest.mark.parametrize("p", [1.001, 1.0000001, 1e6])
def test_final_layer_stays_finite_near_the_excluded_norms(p: float) -> None:
    values = predict("final_layer_ball", classes=1000, radius=2.0, p=p).values
    assert 0 < values["alpha"] <= 2.0
    assert -2.0 <= values["beta"] <= 0


@pytest.mark.parametrize(("p", "alpha", "beta"), [(1, 2.5, 0.0), (math.inf, 2.5, -2.5)])
@pytest.mark.parametrize("classes", [3, 10])
def test_final_layer_at_the_ends_of_p_is_the_minimum_over_one_output(
    p: float, alpha: float, beta: float, classes: int
) -> None:
    """Linear programmes for the direction: p = 1 in the parts z = u - v of the output, p = infinity in a box."""
    values = predict("final_layer_ball", classes=classes, radius=2.5, p=p).values
    assert (values["alpha"], values["beta"], values["margin"]) == (alpha, beta, alpha - beta)
    rng = np.random.default_rng(0)
    if p == 1:
        result = minimize(
            lambda x: logsumexp(x[:classes] - x[classes:]) - (x[0] - x[classes]),
            rng.uniform(0, 0.1, 2 * classes),
            method="SLSQP",
            bounds=[(0, None)] * (2 * classes),
            constraints=[{"type": "ineq", "fun": lambda x: 2.5 - x.sum()}],
            options={"ftol": 1e-15, "maxiter": 500},
        )
    else:
        box = [(-2.5, 2.5)] * classes
        result = minimize(lambda z: logsumexp(z) - z[0], rng.standard_normal(classes), bounds=box, method="L-BFGS-B")
    assert result.fun == pytest.approx(values["risk"], abs=1e-8)


@quick
@given(CLASSES, st.floats(1e-2, 20.0))
def test_final_layer_tends_to_its_ends(classes: int, radius: float) -> None:
    for p, near in ((1.0, 1 + 1e-9), (math.inf, 1e12)):
        end = predict("final_layer_ball", classes=classes, radius=radius, p=p).values
        close = predict("final_layer_ball", classes=classes, radius=radius, p=near).values
        for name in ("risk", "margin", "output_pair_distance", "alpha", "beta"):
            # At p = 1 two classes have a segment of minimisers, and their margin and risk alone have a limit.
            if name in end:
                assert close[name] == pytest.approx(end[name], rel=1e-6, abs=1e-6), name


def test_two_classes_in_the_l1_ball_leave_the_output_open() -> None:
    values = predict("final_layer_ball", classes=2, radius=1.0, p=1).values
    assert set(values) == {"margin", "risk", "risk_balanced", "accuracy"}
    assert values["risk"] == math.log1p(math.exp(-1))
    for alpha in (0.0, 0.3, 1.0):
        assert logsumexp([alpha, alpha - 1]) - alpha == pytest.approx(values["risk"], rel=1e-15)


def test_final_layer_needs_one_more_dimension_where_outputs_do_not_sum_to_zero() -> None:
    assert predict("final_layer_ball", classes=4, radius=1.0, width=3).applies
    assert not predict("final_layer_ball", classes=4, radius=1.0, p=3.0, width=3).applies
    assert not predict("final_layer_ball", classes=4, radius=1.0, centre=0.5, width=3).applies
    assert predict("final_layer_ball", classes=4, radius=1.0, p=3.0, width=4).applies
    assert predict("final_layer_ball", classes=2, radius=1.0, p=3.0, width=1).applies


@pytest.mark.parametrize(
    ("classes", "radius", "nonnegative", "risk"),
    [
        (10, 5.0, False, 0.045232488355),
        (4, 3.0, False, 0.089752345192),
        (4, 2.0, False, 0.26080),
        (4, 2.0, True, 0.34075295),
        (10, 5.0, True, 0.05887),
    ],
)
def test_penultimate_has_the_known_risks(classes: int, radius: float, nonnegative: bool, risk: float) -> None:
    values = predict("penultimate_ball", classes=classes, radius=radius, nonnegative=nonnegative).values
    digits = len(str(risk).split(".")[1])
    assert round(values["risk"], digits) == risk


BALLS = [
    {"classes": 2, "width": 3},
    {"classes": 3, "width": 2},
    {"classes": 3, "width": 5, "head_norm": 0.7},
    {"classes": 3, "width": 3, "per_class": 2},
    {"classes": 4, "width": 3, "class_weights": (100, 10, 1, 1)},
    {"classes": 3, "width": 4, "bias": True},
    {"classes": 2, "width": 2, "nonnegative": True, "bias": True},
    {"classes": 3, "width": 3, "nonnegative": True},
    {"classes": 3, "width": 4, "nonnegative": True, "per_class": 2},
    {"classes": 3, "width": 4, "nonnegative": True, "bias": True, "head_norm": 1.3},
]


@pytest.mark.parametrize("problem", BALLS, ids=str)
def test_penultimate_is_the_minimum_in_every_name(problem: dict[str, object]) -> None:
    """The minimum found by SciPy, with its metrics worked out from their definitions, has every value."""
    seed = BALLS.index(problem)
    solution = minimise_ball(radius=2.0, seed=seed, **problem)
    measured = measure(solution)
    specification = {name: value for name, value in problem.items() if name != "per_class"}
    prediction = predict("penultimate_ball", radius=2.0, **specification)
    assert prediction.applies, prediction.reason
    assert solution.objective == pytest.approx(prediction.values["risk"], abs=1e-12)
    for name, value in prediction.values.items():
        assert measured[name] == pytest.approx(value, abs=1e-5), name


def test_what_a_spectral_ball_leaves_open_is_left_out() -> None:
    """Two minima with different rows of W: the same vector was added to every row."""
    names = {"nc2_equinorm_w", "nc2_equiangular_w", "nc3_duality", "nc3_alignment", "nc0_row_sum"}
    assert not names & set(predict("penultimate_ball", classes=3, radius=2.0).values)
    first, second = (measure(minimise_ball(3, 5, 2.0, seed=seed)) for seed in (0, 1))
    assert first["risk"] == pytest.approx(second["risk"], abs=1e-12)
    assert abs(first["nc0_row_sum"] - second["nc0_row_sum"]) > 1e-3
    assert abs(first["nc3_duality"] - second["nc3_duality"]) > 1e-3


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        ({"width": 1}, "width 1"),
        ({"width": 3, "nonnegative": True}, "width 3"),
        ({"width": 3, "nonnegative": True, "class_weights": (1, 1, 1, 2)}, "width 3"),
    ],
)
def test_penultimate_says_why_it_does_not_apply(problem: dict[str, object], word: str) -> None:
    prediction = predict("penultimate_ball", classes=4, radius=1.0, **problem)
    assert not prediction.applies
    assert dict(prediction.values) == {}
    assert word in prediction.reason


@quick
@given(CLASSES, RADII, st.data())
def test_class_weights_do_not_move_the_balls(classes: int, radius: float, data: st.DataObject) -> None:
    one = st.floats(1e-6, 1e6)
    weights = data.draw(st.lists(one, min_size=classes, max_size=classes))
    for setting in ("final_layer_ball", "penultimate_ball"):
        plain = predict(setting, classes=classes, radius=radius)
        assert predict(setting, classes=classes, radius=radius, class_weights=weights) == plain


@quick
@given(CLASSES, RADII, st.floats(0.01, 100.0), st.booleans())
def test_only_the_product_of_the_norms_moves_the_risk(
    classes: int, radius: float, factor: float, nonnegative: bool
) -> None:
    plain = predict("penultimate_ball", classes=classes, radius=radius, nonnegative=nonnegative).values
    scaled = predict(
        "penultimate_ball",
        classes=classes,
        radius=radius * factor,
        head_norm=1 / factor,
        nonnegative=nonnegative,
    ).values
    assert scaled["risk"] == pytest.approx(plain["risk"], rel=1e-10)
    assert scaled["cosine"] == plain["cosine"]
    assert scaled["pair_distance"] == pytest.approx(factor * plain["pair_distance"], rel=1e-12)


@quick
@given(CLASSES, st.floats(1e-3, 500.0), st.booleans())
def test_risk_falls_with_the_radius_and_is_never_lost(classes: int, radius: float, nonnegative: bool) -> None:
    """Small risks are (K-1) e^-m to rounding, and log K bounds all of them."""
    small = predict("penultimate_ball", classes=classes, radius=radius, nonnegative=nonnegative).values
    large = predict("penultimate_ball", classes=classes, radius=radius * 1.01, nonnegative=nonnegative).values
    assert 0 < large["risk"] < small["risk"] < math.log(classes)
    if small["margin"] > 50:
        assert math.log(small["risk"]) == pytest.approx(math.log(classes - 1) - small["margin"], rel=1e-12)


@quick
@given(CLASSES, RADII)
def test_the_floor_of_the_optimum_is_its_risk(classes: int, radius: float) -> None:
    for nonnegative in (False, True):
        values = predict("penultimate_ball", classes=classes, radius=radius, nonnegative=nonnegative).values
        floor = predict(
            "risk_floor",
            classes=classes,
            feature_radius=values["feature_radius"],
            head_opnorm=values["head_opnorm"],
        ).values
        assert floor["risk_floor"] == pytest.approx(values["risk"], rel=1e-10)


@quick
@given(st.integers(2, 6), st.integers(1, 7), st.floats(0.1, 8.0), st.integers(0, 10**6))
def test_no_head_beats_the_floor(classes: int, width: int, scale: float, seed: int) -> None:
    """Heads aligned with the features, with noise, bias and a shift of everything; any width."""
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((classes, width))
    features = scale * means + rng.standard_normal(width)
    weight = deviations(means) + 0.1 * rng.standard_normal((classes, width)) + rng.standard_normal(width)
    bias = rng.standard_normal(classes)
    logits = features @ weight.T + bias
    others = (logits - np.diag(logits)[:, None])[~np.eye(classes, dtype=bool)].reshape(classes, -1)
    risk = np.mean(np.log1p(np.exp(others).sum(1)))
    centred = features - features.mean(0)
    radius = min(np.linalg.norm(features, axis=1).max(), np.linalg.norm(centred, axis=1).max())
    values = predict(
        "risk_floor",
        classes=classes,
        feature_radius=radius,
        head_opnorm=np.linalg.norm(deviations(weight), 2),
        width=width,
    ).values
    assert risk >= values["risk_balanced_minimum"] * (1 - 1e-9)
    assert values["risk_balanced_minimum"] >= values["risk_floor"]
    assert values["simplex_efficiency_cap"] == pytest.approx(math.sqrt(min(width, classes - 1) / (classes - 1)))


def test_the_bound_below_full_width_is_a_bound_and_at_full_width_an_equality() -> None:
    """One dimension: all that two classes need, too little for three."""
    line = predict("risk_floor", classes=2, feature_radius=2.0, head_opnorm=1.5, width=1).values
    solution = minimise_ball(2, 1, 2.0, head_norm=1.5)
    assert solution.objective == pytest.approx(line["risk_balanced_minimum"], abs=1e-12)
    narrow = predict("risk_floor", classes=3, feature_radius=2.0, head_opnorm=1.0, width=1).values
    best = min(minimise_ball(3, 1, 2.0, seed=seed).objective for seed in range(3))
    assert best > narrow["risk_balanced_minimum"] > narrow["risk_floor"]


def test_floor_at_zero_norms_is_chance() -> None:
    assert predict("risk_floor", classes=7, feature_radius=0, head_opnorm=3).values["risk_floor"] == pytest.approx(
        math.log(7), rel=1e-15
    )

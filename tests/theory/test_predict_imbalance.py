"""Classes of different sizes: thresholds, dead classes and the SELI geometry against SciPy minima."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from theory_metrics import measure, unit
from theory_minimisers import best, minimise_decay

from nc_bench.theory import predict

quick = settings(deadline=None, max_examples=60)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("counts", [(6, 6, 2, 2), (6, 2, 2), (5, 2, 2, 2)])
def test_minority_classifiers_merge_exactly_where_predicted(counts: tuple[int, ...], bias: bool) -> None:
    critical = math.sqrt(min(counts)) / sum(counts)
    for factor, collapsed in ((0.98, 0.0), (1.02, 1.0)):
        decay = {"head_decay": 0.5 * critical * factor, "feature_decay": 2 * critical * factor}
        values = predict("minority_collapse", counts=counts, width=len(counts), **decay).values
        weight = minimise_decay(counts, len(counts) + 1, bias=bias, **decay).weight
        apart = np.linalg.norm(weight[-1] - weight[-2]) / np.linalg.norm(weight)
        assert values["collapsed"] == collapsed
        assert values["threshold_count"] == pytest.approx(min(counts) * factor**2)
        assert (apart < 1e-6) == bool(collapsed)
        assert apart < 1e-6 or apart > 1e-2


@pytest.mark.parametrize(
    ("counts", "problem", "word"),
    [
        ((3, 3), {}, "sizes of 1"),
        ((3, 2, 1), {}, "sizes of 3"),
        ((3, 3, 1), {}, "one minority class"),
        ((3, 1, 1), {"width": 2}, "width 2"),
        ((3, 1, 1), {"class_weights": (1, 2, 1)}, "weights"),
    ],
)
def test_minority_collapse_says_why_it_does_not_apply(
    counts: tuple[int, ...], problem: dict[str, object], word: str
) -> None:
    prediction = predict("minority_collapse", counts=counts, head_decay=0.1, feature_decay=0.1, **problem)
    assert not prediction.applies
    assert word in prediction.reason


@pytest.mark.parametrize(
    ("counts", "decay", "live"),
    [((3, 1), 0.1, 2), ((4, 2, 1), 0.03, 3), ((1, 1, 5), 0.05, 3), ((8, 3, 2, 1), 0.14, 2), ((5, 1, 1), 0.2, 1)],
)
def test_relu_classes_are_the_minimum(counts: tuple[int, ...], decay: float, live: int) -> None:
    classes = len(counts)
    solution = best(
        lambda seed: minimise_decay(counts, 2 * classes + 3, decay, decay / 2, nonnegative=True, seed=seed),
        starts=6,
    )
    values = predict("relu_imbalanced", counts=counts, head_decay=decay, feature_decay=decay / 2).values
    means = np.stack([solution.features[solution.labels == c].mean(0) for c in range(classes)])
    logits = means @ solution.weight.T
    margins = [np.delete(logits[c, c] - logits[c], c).mean() for c in range(classes)]
    assert values["live_classes"] == live
    assert solution.objective == pytest.approx(values["objective"], abs=1e-12)
    assert np.linalg.norm(means, axis=1) == pytest.approx(values["feature_norm_k"], abs=1e-6)
    assert np.linalg.norm(solution.weight, axis=1) == pytest.approx(values["head_row_norm_k"], abs=1e-6)
    assert margins == pytest.approx(values["margin_k"], abs=1e-6)
    alive = [count > values["threshold_count"] for count in counts]
    assert [norm > 0 for norm in values["feature_norm_k"]] == alive
    measured = measure(solution) if live == classes else {}
    for name in measured.keys() & values.keys():
        assert measured[name] == pytest.approx(values[name], abs=1e-6), name


@quick
@given(st.integers(2, 30), st.integers(1, 50), st.floats(1e-5, 1.0), st.floats(1e-5, 1.0))
def test_balanced_relu_classes_agree_with_weight_decay(
    classes: int, per_class: int, head_decay: float, feature_decay: float
) -> None:
    decay = {"head_decay": head_decay, "feature_decay": feature_decay}
    relu = predict("relu_imbalanced", counts=[per_class] * classes, **decay).values
    plain = predict("weight_decay", classes=classes, per_class=per_class, nonnegative=True, **decay).values
    assert relu["objective"] == pytest.approx(plain["objective"], rel=1e-10)
    assert relu["margin_k"] == pytest.approx((plain["margin"],) * classes, rel=1e-6, abs=1e-9)
    assert relu["feature_norm_k"] == pytest.approx((plain["feature_norm"],) * classes, rel=1e-5, abs=1e-6)
    assert relu["head_row_norm_k"] == pytest.approx((plain["head_row_norm"],) * classes, rel=1e-5, abs=1e-6)


@quick
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=20), st.floats(1e-3, 1e3), st.sampled_from([-1, 1]))
def test_relu_classes_die_at_the_threshold(counts: list[int], ratio: float, side: int) -> None:
    """Decays on either side of what makes the first class's size the threshold."""
    critical = math.sqrt(counts[0] * (len(counts) - 1) / len(counts)) / sum(counts)
    decay = critical * (1 + side * 1e-6)
    values = predict("relu_imbalanced", counts=counts, head_decay=decay * ratio, feature_decay=decay / ratio).values
    assert values["threshold_count"] == pytest.approx(counts[0] * (1 + side * 2e-6), rel=1e-9)
    assert (values["margin_k"][0] > 0) == (side < 0)


def test_relu_needs_a_dimension_for_every_live_class_only() -> None:
    problem = {"counts": (8, 3, 2, 1), "head_decay": 0.14, "feature_decay": 0.07}
    assert predict("relu_imbalanced", width=2, **problem).applies
    assert "width 1" in predict("relu_imbalanced", width=1, **problem).reason
    assert "weights" in predict("relu_imbalanced", class_weights=(1, 1, 1, 2), **problem).reason


def test_with_every_class_dead_the_risk_is_chance() -> None:
    values = predict("relu_imbalanced", counts=(2, 1), head_decay=9.0, feature_decay=9.0).values
    assert values["live_classes"] == 0
    assert values["objective"] == values["risk"] == values["risk_balanced"] == pytest.approx(math.log(2))
    assert "centre_offset" not in values


def test_seli_has_the_known_numbers() -> None:
    """Two halves of ten classes, ratio 10."""
    values = predict("seli", counts=[10] * 5 + [1] * 5).values
    pairs = list(combinations(range(10), 2))
    major, minor, between = pairs.index((0, 1)), pairs.index((8, 9)), pairs.index((0, 9))
    head, features = values["head_norm_ratio_k"], values["feature_norm_ratio_k"]
    assert head[0] / head[9] == pytest.approx(1.6347, abs=5e-5)
    assert features[0] / features[9] == pytest.approx(0.5923, abs=5e-5)
    cosines = [values["head_cosine_pairs"][pair] for pair in (major, minor, between)]
    assert cosines == pytest.approx([-0.1440, 0.0334, -0.1387], abs=5e-5)
    cosines = [values["feature_cosine_pairs"][pair] for pair in (major, minor, between)]
    assert cosines == pytest.approx([-0.0697, -0.1867, -0.0854], abs=5e-5)


@pytest.mark.parametrize("counts", [(1, 1), (4, 1), (5, 2, 1), (3, 3, 1, 1)])
def test_seli_is_the_least_norm_separator(counts: tuple[int, ...]) -> None:
    """min |W|^2 + sum_k n_k |h_k|^2 with every margin at least 1, the limit of vanishing decay."""
    classes = width = len(counts)
    sizes = np.array(counts)

    def unpack(x: np.ndarray) -> np.ndarray:
        return x.reshape(2, classes, width)

    def margins(x: np.ndarray) -> np.ndarray:
        weight, means = unpack(x)
        logits = means @ weight.T
        return (np.diag(logits)[:, None] - logits)[~np.eye(classes, dtype=bool)] - 1

    def energy(x: np.ndarray) -> float:
        weight, means = unpack(x)
        return float((weight**2).sum() + (sizes[:, None] * means**2).sum())

    start = np.stack([3 * np.eye(classes)] * 2).ravel()
    start += 0.3 * np.random.default_rng(0).standard_normal(start.size)
    constraints = [{"type": "ineq", "fun": margins}]
    options = {"ftol": 1e-15, "maxiter": 500}
    weight, means = unpack(minimize(energy, start, method="SLSQP", constraints=constraints, options=options).x)
    values = predict("seli", counts=counts, width=width).values
    for side, rows in (("head", weight), ("feature", means)):
        norms = np.linalg.norm(rows, axis=1)
        upper = np.triu_indices(classes, 1)
        assert norms / norms.mean() == pytest.approx(values[f"{side}_norm_ratio_k"], abs=1e-5)
        assert (unit(rows) @ unit(rows).T)[upper] == pytest.approx(values[f"{side}_cosine_pairs"], abs=1e-5)


def test_seli_at_balance_is_the_simplex_and_only_ratios_count() -> None:
    values = predict("seli", counts=(7, 7, 7, 7)).values
    assert values["feature_norm_ratio_k"] == pytest.approx((1.0,) * 4)
    for side in ("head", "feature"):
        assert values[f"{side}_cosine_pairs"] == pytest.approx((-1 / 3,) * 6)
    assert predict("seli", counts=(40, 10, 20)).values["head_cosine_pairs"] == pytest.approx(
        predict("seli", counts=(4, 1, 2)).values["head_cosine_pairs"]
    )
    assert "width" in predict("seli", counts=(2, 1, 1), width=1).reason
    assert "weights" in predict("seli", counts=(2, 1, 1), class_weights=(1, 2, 2)).reason

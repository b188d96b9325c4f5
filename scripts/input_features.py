"""Features that the input campaign draws, and their metrics in plain NumPy to compare with."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from hypothesis import strategies as st
from input_outcomes import RIGHT, UNDEFINED
from numpy.typing import NDArray

from nc_bench import collapse_metrics

RELATIVE = 1e-9
"""What the metrics promise for float64 features, apart from what the features' own rounding does to them."""


@st.composite
def problems(draw: st.DrawFn) -> tuple[NDArray[Any], ...]:
    """Features of a few classes at any scale, with offset, collapse, repetition and missing classes; a last layer."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    classes, width, samples = draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(st.integers(1, 20))
    labels = random.integers(0, classes, samples)
    if draw(st.integers(0, 5)) > 0:
        labels = np.concatenate([labels, np.arange(classes)])
    means = random.standard_normal((classes, width)) * draw(st.sampled_from([1.0, 1.0, 1.0, 0.0, 1e-8, 1e8]))
    noise = random.standard_normal((len(labels), width)) * draw(st.sampled_from([0.0, 1e-12, 1.0]))
    features = means[labels] + noise + draw(st.sampled_from([0.0, 1.0, 1e4]))
    features *= 10.0 ** draw(st.sampled_from([0, 0, 0, 0, 0, 0, -300, -160, -30, 30, 150, 290]))
    weight = random.standard_normal((classes, width)) * 10.0 ** draw(
        st.sampled_from([0, 0, 0, 0, 0, -200, -16, 16, 200])
    )
    bias = random.standard_normal(classes) * draw(st.sampled_from([0.0, 1.0, 1e10]))
    if draw(st.integers(0, 19)) == 0:
        features[random.integers(len(labels)), random.integers(width)] = draw(
            st.sampled_from([np.nan, np.inf, -np.inf])
        )
    return features, labels, weight, bias


def reference(
    features: NDArray[Any], labels: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any]
) -> dict[str, float]:
    """Some of the metrics in plain NumPy, in 80 bits, whose range no scale here leaves; for classes that all occur."""
    h, w, b = (array.astype(np.longdouble) for array in (features, weight, bias))
    classes = len(w)
    members = [h[labels == label] for label in range(classes)]
    raw = np.array([part.mean(0) for part in members])
    rows = raw - raw.mean(0)
    within = h - raw[labels]
    norms = np.sqrt((rows**2).sum(1))
    variances = np.array([((part - part.mean(0)) ** 2).sum(1).mean() for part in members])
    pairs = [(c, e) for c in range(classes) for e in range(c + 1, classes)]
    gaps = np.array([np.sqrt(((raw[c] - raw[e]) ** 2).sum()) for c, e in pairs])
    cosines = [rows[c] @ rows[e] / (norms[c] * norms[e]) for c, e in pairs]
    logits = h @ w.T + b
    distances = ((h[:, None] - raw) ** 2).sum(2)
    radius = min(np.sqrt((h**2).sum(1).max()), np.sqrt(((h - raw.mean(0)) ** 2).sum(1).max()))
    values = {
        "nc1_quotient": (within**2).sum(1).mean() / (norms**2).mean(),
        "nc1_cdnv": np.mean(
            [(variances[c] + variances[e]) / (2 * gap**2) for (c, e), gap in zip(pairs, gaps, strict=True)]
        ),
        "nc1_radius": np.sqrt((within**2).sum(1).max()) / norms.mean(),
        "nc2_equinorm": norms.std(ddof=1) / norms.mean(),
        "nc2_equiangular": np.mean(np.abs(np.array(cosines) + np.longdouble(1) / (classes - 1))),
        "centre_offset": np.sqrt((raw.mean(0) ** 2).sum()) / np.sqrt((raw**2).sum(1)).mean(),
        "feature_radius": radius,
        "mean_length": norms.mean(),
        "accuracy": np.mean(logits.argmax(1) == labels),
        "ncc_accuracy": np.mean(distances.argmin(1) == labels),
    }
    return {name: float(value) for name, value in values.items()}


def check_features(problem: tuple[NDArray[Any], ...]) -> str:
    features, labels, weight, bias = problem
    found = collapse_metrics(features, labels, weight, bias)
    undefined = {name for name, value in found.items() if math.isnan(value)}
    assert undefined == set(found.reasons), f"NaN without a reason, or a reason without NaN: {undefined}"
    assert not any(math.isinf(value) for value in found.values()), "an infinite metric"
    for name in ("accuracy", "ncc_accuracy", "nc4_mismatch"):
        assert name in undefined or 0 <= found[name] <= 1, f"{name} is {found[name]}"
    efficiency = found.get("simplex_efficiency", 0.0)
    assert not efficiency > 1 + 1e-6, f"simplex_efficiency is {efficiency}"
    if len(weight) > 1 and set(labels) == set(range(len(weight))) and np.isfinite(features).all():
        compare(found, problem)
    return UNDEFINED if undefined else RIGHT


def compare(found: dict[str, float], problem: tuple[NDArray[Any], ...]) -> None:
    """Against the reference, as far as the rounding of the features leaves a value at all."""
    features, *rest = problem
    random = np.random.default_rng(0)
    rounding = np.abs(features).max() * np.finfo(np.float64).eps
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = reference(features, *rest)
        moved = [reference(features + rounding * random.standard_normal(features.shape), *rest) for _ in range(4)]
        # What rounding does to the class means, in their own size: no ratio of theirs is known better.
        unsure = rounding / expected.pop("mean_length")
    for name, value in expected.items():
        spread = max(abs(other[name] - value) for other in moved)
        if math.isnan(found[name]) or not math.isfinite(value) or not spread < 1e-3 * abs(value) + unsure:
            continue
        if name.endswith("accuracy") and spread > 0:
            continue
        ratio = 0.0 if name == "feature_radius" else 100 * unsure + 1e-14
        error = abs(found[name] - value)
        assert error <= RELATIVE * abs(value) + 100 * spread + ratio, f"{name} is {found[name]}, should be {value}"

"""Random classification problems for the tests of the metrics, and how exactly float64 can solve them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from numpy_reference import rank_cutoff

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Features (N, d) with labels (N,), and a last layer (K, d), (K,)."""

    features: Array
    labels: NDArray[np.int64]
    weight: Array
    bias: Array | None

    @property
    def classes(self) -> int:
        return len(self.weight)

    def arguments(self) -> tuple[Array, NDArray[np.int64], Array, Array | None]:
        return self.features, self.labels, self.weight, self.bias

    def changed(self, **changes: Any) -> Problem:
        return replace(self, **changes)


@st.composite
def problems(draw: st.DrawFn, *, smallest_scatter: float = 1e-6, largest_offset: float = 1e3) -> Problem:
    """K 2..6 classes of 1..7 samples in 1..8 dimensions, from scattered to collapsed, near 0 or far from it."""
    classes, width = draw(st.integers(2, 6)), draw(st.integers(1, 8))
    counts = draw(st.lists(st.integers(1, 7), min_size=classes, max_size=classes))
    scatter = draw(st.sampled_from([s for s in (1.0, 0.1, 1e-3, 1e-6) if s >= smallest_scatter]))
    offset = draw(st.sampled_from([o for o in (0.0, 1.0, 1e3) if o <= largest_offset]))
    steepness = draw(st.sampled_from([0.1, 1.0, 30.0]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = random.permutation(np.repeat(np.arange(classes), counts))
    means = random.standard_normal((classes, width)) + offset
    features = means[labels] + scatter * random.standard_normal((len(labels), width))
    weight = steepness * random.standard_normal((classes, width))
    bias = random.standard_normal(classes) if draw(st.booleans()) else None
    return Problem(features=features, labels=labels, weight=weight, bias=bias)


def small_problem(seed: int = 0, classes: int = 4, width: int = 6, each: int = 5) -> Problem:
    """A sound problem, its arrays free to be changed."""
    random = np.random.default_rng(seed)
    labels = np.arange(classes * each) % classes
    means, weight = random.standard_normal((2, classes, width))
    weight += means
    features = means[labels] + 0.3 * random.standard_normal((len(labels), width))
    return Problem(features=features, labels=labels, weight=weight, bias=random.standard_normal(classes))


def disagreements(
    measured: Mapping[str, float],
    problem: Problem,
    expected: Mapping[str, float],
    names: Iterable[str] | None = None,
) -> dict[str, str]:
    """Metrics (of these names) that are not what they should be, as exactly as the problem allows; NaN equals NaN."""
    allowed = tolerances(problem, expected)
    return {
        name: f"measured {measured[name]!r}, expected {expected[name]!r} +- {allowed[name]:.1e}"
        for name in (expected if names is None else names)
        if not (measured[name] != measured[name] and expected[name] != expected[name])
        and not abs(measured[name] - expected[name]) <= allowed[name]
    }


def tolerances(problem: Problem, expected: Mapping[str, float]) -> dict[str, float]:
    """By name: 1e-9 of the value (1e-6 for float32), plus what rounding a class mean or a logit does to it.

    Rounding the means to float64 matters where their differences are small or the offset is large; scatter sees its
    square only, so no absolute tolerance hides an NC1 of 1e-12. In float32 a product is exact to a share of the two
    lengths: little of it is left where h - mu is nearly orthogonal to the rows of the weight, or to all class means.
    """
    narrow = problem.features.dtype == np.float32
    relative = 1e-6 if narrow else 1e-9
    features, (labels, weight, bias) = problem.features.astype(np.float64), problem.arguments()[1:]
    means = class_means(problem)
    rows, centred_weight = means - means.mean(0), weight - weight.mean(0)
    lost = 4 * rank_cutoff(features, labels) / shortest_length(rows)
    allowed = {name: (relative + lost) * abs(value) + 1e-12 + lost for name, value in expected.items()}
    squares = ["nc1_quotient", "nc1_cdnv", "output_collapse"]
    for name in ["nc1_pinv", *squares, *(f"{name}_worst" for name in squares)]:
        allowed[name] = (relative + lost) * expected[name] + lost**2
    allowed["nc1_radius"] = (relative + lost) * expected["nc1_radius"] + lost
    angles = ["nc2_equiangular_w_centred", "nc3_alignment_centred"]
    for name in ["isometry_defect", *angles, *(f"{name}_worst" for name in angles)]:
        if name in allowed:
            allowed[name] += 1e-13 * float(np.linalg.norm(weight)) / shortest_length(centred_weight)
    logits = np.abs(features @ weight.T).max() + (0 if bias is None else np.abs(bias).max())
    logit_error = 8 * np.finfo(np.float64).eps * logits
    if narrow:
        rounding = 4 * np.finfo(np.float32).eps * np.linalg.norm(features - means[labels], axis=1).max()
        logit_error += rounding * np.linalg.norm(weight, axis=1).max()
        signal = np.linalg.norm(rows @ centred_weight.T) / np.sqrt(problem.classes)
        shares = {
            "nc1_pinv": rounding / shortest_length(rows),
            "output_collapse": rounding * np.linalg.norm(centred_weight) / signal,
            "output_collapse_worst": rounding * np.linalg.norm(centred_weight) / signal,
        }
        for name, share in shares.items():
            allowed[name] += 2 * np.sqrt(expected[name]) * share + share**2
    budget = expected["feature_radius"] * expected["head_opnorm"]
    risk_error = (relative + logit_error) * expected["risk_balanced"]
    floor_error = relative * (1 + 2 * budget) * expected["risk_floor"]
    if "risk_of_means" in expected:
        allowed |= budget_tolerances(expected, problem.classes, relative, risk_error + floor_error + logit_error, lost)
        allowed["bias_offset"] += logit_error
        allowed["bias_offset_centred"] += logit_error
    slack = 1e-12 * (1 + expected["risk_balanced"]) + logit_error
    outputs = features @ centred_weight.T + (0 if bias is None else bias - bias.mean())
    # The largest share may be that of an output that is short.
    allowed["output_efficiency"] += 4 * logit_error / float(np.linalg.norm(outputs, axis=1).min())
    return allowed | {
        "risk": (relative + logit_error) * expected["risk"] + SMALLEST,
        "risk_balanced": risk_error + SMALLEST,
        "risk_floor": floor_error + SMALLEST,
        "risk_gap": risk_error + floor_error + SMALLEST,
        "margin": relative * abs(expected["margin"]) + slack,
        "simplex_efficiency": relative * abs(expected["simplex_efficiency"]) + slack / budget,
    }


def budget_tolerances(
    expected: Mapping[str, float], classes: int, relative: float, error: float, lost: float
) -> dict[str, float]:
    """For the parts of the collapse budget, `error` being that of a risk or of a logit."""
    risk = expected["risk_of_means"]
    error += (relative + lost) * (1 + expected["risk_balanced"] + risk)
    names = [name for name in expected if name.startswith("gap_")]
    allowed = dict.fromkeys([*names, "jensen_gap", "risk_of_means"], error + SMALLEST)
    margin = abs(np.log(classes - 1) - risk - np.log(max(-np.expm1(-risk), SMALLEST)))
    for part in ("within", "pairs", "alignment"):
        value = expected[f"efficiency_{part}"]
        allowed[f"efficiency_{part}"] = (relative + lost) * (1 + abs(value)) + 10 * error * (1 + abs(value)) / margin
    return allowed


SMALLEST = 1e-300


def class_means(problem: Problem) -> Array:
    features = problem.features.astype(np.float64)
    return np.array([features[problem.labels == c].mean(0) for c in range(problem.classes)])


def shortest_length(rows: Array) -> float:
    """The smallest of the row norms, the distances between rows, and the singular values that should count."""
    classes, width = rows.shape
    distances = [np.linalg.norm(rows[c] - rows[e]) for c in range(classes) for e in range(c)]
    singular = np.linalg.svd(rows, compute_uv=False)[: min(classes - 1, width)]
    return float(min(*np.linalg.norm(rows, axis=1), *distances, singular[-1]))


def rotation(width: int, random: np.random.Generator) -> Array:
    """A random orthogonal matrix (d, d)."""
    return np.linalg.qr(random.standard_normal((width, width)))[0]


def simplex(classes: int, width: int, random: np.random.Generator) -> Array:
    """Vertices (K, d) of a regular simplex of radius 1 centred at 0, turned at random."""
    frame = np.eye(classes) - np.ones((classes, classes)) / classes
    left, lengths, _ = np.linalg.svd(frame)
    vertices = np.zeros((classes, width))
    vertices[:, : classes - 1] = (left * lengths)[:, : classes - 1]
    vertices = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    return vertices @ rotation(width, random)


def collapsed(vertices: Array, weight: Array, bias: Array | None = None, each: int = 3) -> Problem:
    """Every sample at its class's vertex; class c has `each` + c samples."""
    labels = np.repeat(np.arange(len(vertices)), np.arange(len(vertices)) + each)
    return Problem(features=vertices[labels], labels=labels, weight=weight, bias=bias)

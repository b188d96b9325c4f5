"""States that are no neural collapse but pass a mean, a share or an undefined value: each has to be caught.

Every case is a collapsed state of features and head with one thing spoilt, in a run that is at rest: the claims that
are named must not hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_runs import network

from nc_bench import collapse_metrics
from nc_bench.config import Config
from nc_bench.metrics import null_baseline
from nc_bench.reports.sentence import beside_chance
from nc_bench.runs.rows import rows_to_frame
from nc_bench.verdicts.expectations import expectations
from nc_bench.verdicts.judging import judge

Array = NDArray[np.float64]
CAUGHT = ("fails", "not reached")
GEOMETRY = ("nc1_quotient", "nc2_equiangular", "nc2_equidistant", "nc3_duality_centred")


@dataclass(frozen=True, kw_only=True)
class State:
    """Features (N, d) with labels, a head, and the run that they are the end of."""

    features: Array
    labels: NDArray[np.int64]
    weight: Array
    bias: Array | None = None
    config: Config

    def of(self, label: int) -> NDArray[np.bool_]:
        return self.labels == label


def vertices(classes: int, width: int) -> Array:
    """Vertices (K, d) of a regular simplex of radius 1."""
    padded = np.zeros((classes, width))
    padded[:, :classes] = (np.eye(classes) - 1 / classes) / math.sqrt(1 - 1 / classes)
    return padded


def noise(*shape: int) -> Array:
    return np.random.default_rng(7).standard_normal(shape)


def collapsed(classes: int = 10, each: int = 50, width: int = 32, radius: float = 5.0, spread: float = 0.01) -> State:
    """The minimiser in the ball, but for samples that are `spread` of the radius away from their mean."""
    simplex, labels = vertices(classes, width), np.repeat(np.arange(classes), each)
    near = noise(len(labels), width) / math.sqrt(width)
    features = radius * (simplex[labels] + spread * near)
    features *= np.minimum(1, radius / np.linalg.norm(features, axis=1))[:, None]
    ball = {"features": {"radius": radius}, "head": {"radius": 1.0}}
    config = network(model={"name": "mlp", "widths": [16, width], "final_activation": False}, constraints=ball)
    return State(
        features=features, labels=labels, weight=math.sqrt(1 - 1 / classes) * simplex, bias=None, config=config
    )


def decayed(**size: Any) -> State:
    """The same under weight decay, where nothing is proved of a network."""
    free = {"features": None, "head": None}
    state = collapsed(**size)
    model = {"name": "mlp", "widths": [16, state.features.shape[1]], "final_activation": False}
    return replace(state, config=network(model=model, constraints=free, objective={"weight_decay": 1e-3}))


@cache
def null(classes: int, width: int) -> dict[str, float]:
    return null_baseline(classes, width)


def verdicts(state: State) -> dict[str, str]:
    """The verdict on every claim."""
    classes, width = state.weight.shape
    measured = collapse_metrics(state.features, state.labels, state.weight, state.bias, classes=classes)
    place = {"epoch": 1, "step": 1, "split": "train", "layer": "penultimate", "seconds": 1.0}
    rows = rows_to_frame([{**place, **measured, "stationarity_residual": 0.01}])
    expected = expectations(state.config, np.bincount(state.labels, minlength=classes).tolist(), width)
    return {row["name"]: row["verdict"] for row in judge(state.config, expected, rows, null(classes, width))}


def wrong_labels(share: float) -> State:
    state, turned = collapsed(each=100), np.arange(1000) < 1000 * share
    return replace(state, labels=np.where(turned, (state.labels + 1) % 10, state.labels))


def half_random(share: float, radius: float) -> State:
    """Class means between a simplex and random directions, of norm R."""
    state = collapsed(radius=radius, spread=0.0)
    means = (1 - share) * vertices(10, 32) + share * noise(10, 32) / math.sqrt(32)
    means *= radius / np.linalg.norm(means, axis=1, keepdims=True)
    return replace(state, features=means[state.labels])


def random_features(radius: float) -> State:
    state = collapsed(radius=radius)
    directions = noise(*state.features.shape)
    return replace(state, features=radius * directions / np.linalg.norm(directions, axis=1, keepdims=True))


def with_means(state: State, change: Callable[[Array], Array]) -> State:
    """Features whose class means are changed; samples keep their place relative to their mean."""
    means = np.array([state.features[state.of(c)].mean(0) for c in range(len(state.weight))])
    return replace(state, features=state.features - means[state.labels] + change(means)[state.labels])


def merged(state: State, share: float, number: int = 2) -> State:
    """The first classes come this share of the way to their common mean."""

    def change(means: Array) -> Array:
        means = means.copy()
        means[:number] += share * (means[:number].mean(0) - means[:number])
        return means

    return with_means(state, change)


def samples_half_way(state: State, share: float) -> State:
    factor = np.where(np.arange(len(state.labels)) % round(1 / share) == 0, 0.5, 1.0)
    return replace(state, features=state.features * factor[:, None])


def one_class(state: State, change: Callable[[Array], Array]) -> State:
    """The samples of class 0 changed."""
    features = state.features.copy()
    features[state.of(0)] = change(features[state.of(0)])
    return replace(state, features=features)


def head(state: State, change: Callable[[Array], Array], bias: Array | None = None) -> State:
    return replace(state, weight=change(state.weight.copy()), bias=bias)


def one_sample(state: State, change: Callable[[Array], Array]) -> State:
    features = state.features.copy()
    features[0] = change(features[0])
    return replace(state, features=features)


def scaled_row(weight: Array, factor: float) -> Array:
    weight[0] *= factor
    return weight


def swapped_rows(weight: Array) -> Array:
    weight[[0, 1]] = weight[[1, 0]]
    return weight


def turned_row(weight: Array) -> Array:
    """60 degrees off, in a direction that no class mean has."""
    away = np.zeros(weight.shape[1])
    away[-1] = np.linalg.norm(weight[0])
    weight[0] = 0.5 * weight[0] + math.sqrt(0.75) * away
    return weight


def spike(weight: Array) -> Array:
    """One singular value three times the others."""
    left, values, right = np.linalg.svd(weight, full_matrices=False)
    values[0] *= 3
    return (left * values) @ right


def split_in_two(state: State) -> State:
    """Every class is two points, a third of the radius from its mean."""
    away = np.zeros_like(state.features)
    away[:, -1] = np.where(np.arange(len(state.labels)) % 2 == 0, 1, -1) * 5.0 / 3
    return replace(state, features=state.features + away)


def random_means(width: int) -> State:
    """Points, in random directions of many dimensions, which are almost at right angles."""
    state = decayed(width=width, spread=0.0)
    means = 5.0 * noise(10, width) / math.sqrt(width)
    return replace(state, features=means[state.labels])


def decided_by_bias() -> State:
    return replace(collapsed(), bias=np.array([6.0, *[0.0] * 9]))


def not_a_number(state: State) -> State:
    return one_sample(state, lambda sample: np.full_like(sample, np.nan))


BIG = {"classes": 100, "each": 20, "width": 128}
NC1_UNDEFINED = ("nc1_cdnv", "nc1_cdnv_worst")

CASES: dict[str, tuple[Callable[[], State], tuple[str, ...]]] = {
    "accuracy .96": (lambda: wrong_labels(0.04), ("accuracy", "risk", "margin", "nc1_radius")),
    "noise in a small ball": (lambda: random_features(0.1), ("risk", "margin", *GEOMETRY)),
    "noise in a tiny ball": (lambda: random_features(1e-3), ("risk", "margin", *GEOMETRY)),
    "noise in a large ball": (lambda: random_features(20.0), ("risk", "margin", *GEOMETRY)),
    "efficiency .8 at R = .5": (lambda: half_random(0.45, 0.5), ("risk", "margin", "simplex_efficiency")),
    "two merged classes": (lambda: merged(collapsed(), 1.0), (*NC1_UNDEFINED, "isometry_defect", "accuracy")),
    "two merged classes under decay": (lambda: merged(decayed(), 1.0), (*NC1_UNDEFINED, "simplex_efficiency")),
    "one merged pair of 100": (
        lambda: merged(decayed(**BIG), 1.0),
        (*NC1_UNDEFINED, "nc2_equidistant_worst", "nc2_equiangular_worst", "nc2_equinorm_worst"),
    ),
    "three merged classes of 100": (
        lambda: merged(decayed(**BIG), 1.0, number=3),
        (*NC1_UNDEFINED, "nc2_equidistant_worst", "nc2_equiangular_worst"),
    ),
    "two half-merged classes": (
        lambda: merged(decayed(), 0.5),
        ("nc2_equidistant_worst", "nc2_equiangular_worst", "simplex_efficiency"),
    ),
    "two half-merged classes of 100": (
        lambda: merged(decayed(**BIG), 0.5),
        ("nc2_equidistant_worst", "nc2_equiangular_worst"),
    ),
    "2 % of samples half-way to the origin": (
        lambda: samples_half_way(decayed(each=500, radius=12.0), 0.02),
        ("simplex_efficiency", "efficiency_within", "nc1_radius"),
    ),
    "one sample half-way to the origin": (
        lambda: one_sample(decayed(each=100), lambda sample: sample / 2),
        ("nc1_radius",),
    ),
    "one sample of 1,000 on the wrong side": (
        lambda: one_sample(collapsed(each=100), lambda sample: -sample),
        ("accuracy", "nc1_radius"),
    ),
    "one sample of 5,000 between two classes": (
        lambda: one_sample(decayed(each=500), lambda sample: 5.0 * vertices(10, 32)[1]),
        ("accuracy", "nc1_radius"),
    ),
    "one wide class of 100": (
        lambda: one_class(decayed(**BIG), lambda own: own + np.resize([2.0, -2.0], (20, 1)) * np.eye(128)[-1]),
        ("nc1_quotient_worst", "nc1_radius"),
    ),
    "one short class mean of 100": (
        lambda: one_class(decayed(**BIG), lambda own: 0.7 * own),
        ("nc2_equinorm_worst",),
    ),
    "one class of 100 at the origin": (
        lambda: one_class(decayed(**BIG), lambda own: 0.0 * own),
        ("nc2_equinorm_worst", "nc2_equidistant_worst"),
    ),
    "one short head row of 100": (
        lambda: head(decayed(**BIG), lambda w: scaled_row(w, 0.6)),
        ("nc3_duality_centred_worst",),
    ),
    "one turned head row of 100": (
        lambda: head(decayed(**BIG), turned_row),
        ("nc3_alignment_centred_worst", "nc3_duality_centred_worst"),
    ),
    "two swapped head rows of 100": (
        lambda: head(decayed(**BIG), swapped_rows),
        ("accuracy", "nc4_mismatch", "nc3_alignment_centred_worst", "nc3_duality_centred_worst"),
    ),
    "all head rows at the next class": (
        lambda: head(collapsed(), lambda w: np.roll(w, 1, axis=0)),
        ("accuracy", "risk", "nc3_duality_centred", "nc3_alignment_centred", "nc4_mismatch"),
    ),
    "a head with one long direction": (
        lambda: head(decayed(), spike),
        ("simplex_efficiency", "efficiency_isometry", "nc3_duality_centred"),
    ),
    "a head that looks elsewhere": (
        lambda: head(decayed(), lambda w: np.roll(w, 16, axis=1)),
        ("simplex_efficiency", "efficiency_alignment", "output_collapse", "nc3_duality_centred"),
    ),
    "a head of zeros": (
        lambda: head(decayed(), np.zeros_like),
        ("simplex_efficiency", "nc3_duality_centred", "nc3_alignment_centred", "output_collapse", "nc4_mismatch"),
    ),
    "features of zeros": (
        lambda: replace(decayed(), features=np.zeros((500, 32))),
        ("nc1_quotient", "nc2_equiangular", "nc2_etf", "simplex_efficiency", "nc3_duality_centred"),
    ),
    "one outlier at three times the radius": (
        lambda: one_sample(decayed(), lambda sample: 3 * sample),
        ("simplex_efficiency", "efficiency_norm", "nc1_radius"),
    ),
    "half of the ball": (
        lambda: replace(collapsed(), features=collapsed().features / 2),
        ("feature_radius", "risk", "margin"),
    ),
    "half of the head": (lambda: head(collapsed(), lambda w: w / 2), ("head_opnorm", "risk", "margin")),
    "a tenth of the margin missing at R = 12": (
        lambda: replace(collapsed(radius=12.0, spread=0.0), features=0.9 * collapsed(radius=12.0, spread=0.0).features),
        ("margin", "feature_radius"),
    ),
    "a simplex around another point": (
        lambda: replace(collapsed(), features=collapsed().features + 2.0 * np.eye(32)[-1]),
        ("centre_offset",),
    ),
    "classes of two points": (
        lambda: split_in_two(decayed()),
        ("nc1_quotient", "nc1_cdnv", "nc1_radius", "efficiency_norm"),
    ),
    "means on a line": (
        lambda: with_means(decayed(), lambda means: np.linspace(-5, 5, 10)[:, None] * np.eye(32)[:1]),
        ("nc2_equinorm", "nc2_equiangular", "nc2_etf", "efficiency_simplex", "simplex_efficiency"),
    ),
    "random directions in 1,024 dimensions": (
        lambda: random_means(1024),
        ("nc2_equiangular", "nc2_equiangular_worst", "nc2_etf", "efficiency_simplex"),
    ),
    "a bias that decides": (decided_by_bias, ("accuracy", "risk", "margin", "nc4_mismatch")),
    "a squashed triangle": (
        lambda: with_means(decayed(classes=3), lambda means: means * np.array([1, 0.5, *[1.0] * 30])),
        ("nc2_equiangular_worst", "nc2_equidistant_worst", "nc2_equinorm_worst"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_collapse_is_caught(case: str) -> None:
    state, names = CASES[case]
    found = verdicts(state())
    assert {name: found[name] for name in names if found[name] not in CAUGHT} == {}
    assert found["risk_gap"] in ("holds", "not applicable"), "what was made up breaks no law"


@pytest.mark.parametrize("state", [collapsed, decayed])
@pytest.mark.parametrize("size", [{}, BIG, {"classes": 3}, {"each": 7}, {"radius": 1.0}])
def test_collapse_itself_holds(state: Callable[..., State], size: dict[str, Any]) -> None:
    found = verdicts(state(**size))
    assert {name: said for name, said in found.items() if said not in ("holds", "not applicable")} == {}
    assert sum(said == "holds" for said in found.values()) >= 25


@pytest.mark.parametrize("state", [collapsed, decayed])
def test_two_classes_are_no_evidence_of_a_simplex(state: Callable[..., State]) -> None:
    ideal = state(classes=2)
    for means in (ideal, replace(ideal, features=ideal.features * [[2.0 if y else 0.1] for y in ideal.labels])):
        found = verdicts(means)
        vacuous = {name for name in found if name.startswith("nc2_")} | {"efficiency_simplex", "efficiency_isometry"}
        assert {found[name] for name in vacuous & set(found)} == {"not applicable"}
    assert verdicts(ideal)["nc1_quotient"] == verdicts(ideal)["nc3_duality_centred"] == "holds"


def test_features_that_are_no_numbers_are_not_judged() -> None:
    found = verdicts(not_a_number(decayed()))
    assert "holds" not in {found[name] for name in found if name != "risk_gap"}


@pytest.mark.parametrize(
    ("right", "samples", "chance", "said"),
    [
        (8, 8, 0.1, ""),
        (8, 8, 0.5, ""),
        (5, 8, 0.5, "which 8 samples do not tell from chance, 0.5"),
        (1, 8, 0.1, "which 8 samples do not tell from chance, 0.1"),
        (3, 3, 0.5, "which 3 samples do not tell from chance, 0.5"),
        (0, 20, 0.1, "which 20 samples do not tell from chance, 0.1"),
        (0, 400, 0.1, ""),
        (40, 397, 0.1, "which is chance"),
        (70, 397, 0.1, ""),
        (1010, 10_000, 0.1, "which is chance"),
    ],
)
def test_few_samples_are_not_called_chance(right: int, samples: int, chance: float, said: str) -> None:
    assert beside_chance(right, samples, chance) == said

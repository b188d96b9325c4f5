"""Collapsed states of features and head, one thing about them spoilt, and the verdicts on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from small_runs import network

from nc_bench import collapse_metrics
from nc_bench.config import Config
from nc_bench.metrics import null_baseline
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

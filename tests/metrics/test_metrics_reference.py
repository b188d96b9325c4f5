"""The stored reference sets: their values, and the same inputs in float32."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from metric_problems import Problem
from numpy_reference import reference_metrics

from nc_bench import collapse_metrics
from nc_bench.metrics import HEAD_NAMES, METRIC_NAMES

FOLDER = Path(__file__).resolve().parents[1] / "reference"
FIRST = json.loads((FOLDER / "expected.json").read_text())
SECOND = json.loads((FOLDER / "expected_second_set.json").read_text())
SETS = {
    name: FIRST[name]["expected"]
    | {key: math.nan if value is None else value for key, value in SECOND[name]["expected"].items()}
    for name in FIRST
}
GAPS = {name for name in METRIC_NAMES if name.startswith("gap_")}
ROUNDING = 1e-12


@cache
def stored(name: str) -> Problem:
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return Problem(**{key: arrays[key] for key in ("features", "labels", "weight", "bias")})


def assert_close(measured: dict[str, float], expected: dict[str, float], relative: float) -> None:
    off = {
        name: (measured[name], value)
        for name, value in expected.items()
        if not (math.isnan(value) and math.isnan(measured[name]))
        and not abs(measured[name] - value) <= relative * abs(value) + ROUNDING
    }
    assert not off


@pytest.mark.parametrize("name", SETS)
def test_every_stored_value_is_met(name: str) -> None:
    problem = stored(name)
    measured = collapse_metrics(*problem.arguments(), classes=FIRST[name]["classes"])
    assert tuple(measured) == METRIC_NAMES
    assert set(measured) - set(SETS[name]) == GAPS
    relative = 1e-6 if problem.features.dtype == np.float32 else 1e-9
    assert_close(measured, SETS[name], relative)
    undefined = {key for key, value in SETS[name].items() if math.isnan(value)}
    assert set(measured.reasons) == undefined


def test_a_set_with_an_undefined_value_says_why() -> None:
    measured = collapse_metrics(*stored("more_classes_than_width").arguments())
    assert measured.reasons["isometry_defect"] == "the class means span 3 dimensions, not 4"
    apart = "risk_of_means is log K or more: the class means are not separated on average"
    assert measured.reasons["efficiency_within"] == measured.reasons["efficiency_pairs"] == apart


@pytest.mark.parametrize("name", SETS)
def test_without_a_last_layer_the_same_values_and_no_others(name: str) -> None:
    problem = stored(name)
    whole = collapse_metrics(*problem.arguments())
    bare = collapse_metrics(problem.features, problem.labels, classes=problem.classes)
    assert set(whole) - set(bare) == HEAD_NAMES
    assert_close(bare, {key: whole[key] for key in bare}, 1e-14)


@pytest.mark.parametrize("name", [name for name in SETS if name != "collapsed_float32"])
def test_in_float32_every_value_of_the_rounded_features_to_a_millionth(name: str) -> None:
    problem = stored(name)
    rounded = problem.features.astype(np.float32)
    expected = reference_metrics(rounded, *problem.arguments()[1:])
    measured = collapse_metrics(rounded, *problem.arguments()[1:])
    assert_close(measured, expected, 1e-6)
    second = collapse_metrics(rounded.astype(np.float64), *problem.arguments()[1:])
    assert_close(measured, {key: second[key] for key in [*SECOND[name]["expected"], *GAPS]}, 1e-6)
    for decision in ("accuracy", "ncc_accuracy", "nc4_mismatch"):
        assert measured[decision] == expected[decision]


@pytest.mark.parametrize("name", ["two_classes", "imbalanced", "collapsed_float32"])
def test_the_independent_reference_agrees_with_the_stored_values(name: str) -> None:
    assert_close(reference_metrics(*stored(name).arguments()), FIRST[name]["expected"], 1e-9)

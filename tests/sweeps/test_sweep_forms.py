"""A value in a sweep file is what the configuration reads: text, numbers, null and lists, however they are written."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from sweep_files import ARMS, STUDY, write_sweep

from nc_bench.config import ConfigError
from nc_bench.sweeps.axes import Axis, axis_values
from nc_bench.sweeps.checks import check_study
from nc_bench.sweeps.grid import Grid, load_grid
from nc_bench.sweeps.labels import form_of, label_of

LR, MOMENTUM, RADIUS = "optimizer.lr", "optimizer.momentum", "constraints.features.radius"


def grid_of(folder: Path, **keys: Any) -> Grid:
    path = write_sweep(folder, **keys)
    grid = load_grid(path)
    check_study(grid, path)
    return grid


def refusal(folder: Path, *overrides: str, **keys: Any) -> list[str]:
    path = write_sweep(folder, **keys)
    with pytest.raises(ConfigError) as refused:
        check_study(load_grid(path, overrides), path)
    return str(refused.value).replace(f"{path}: ", "").replace(str(path), "FILE").splitlines()


def test_pairs_are_zipped_as_they_are_written(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, pairs=[{LR: [1, 1, 2], RADIUS: [0.1, 0.2, 0.1]}])
    assert [(point.cell[LR], point.cell[RADIUS]) for point in grid.points] == [(1, 0.1), (1, 0.2), (2, 0.1)]
    assert len(grid.trials) == 3


def test_a_pair_that_stands_twice_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, pairs=[{LR: [1, "1.0", 2], RADIUS: [0.1, "1e-1", 0.1]}]) == [
        f"pairs.0: stands twice: {LR} 1.0, {RADIUS} 0.1"
    ]


@pytest.mark.parametrize("twice", [[0.001, "1e-3"], [1, 1.0], ["0.1", 0.1, 0.2], [0.3, 0.1, 0.3]])
def test_a_value_of_an_axis_that_stands_twice_is_refused(tmp_path: Path, twice: list[Any]) -> None:
    (line,) = refusal(tmp_path, axes={LR: twice})
    assert line.startswith(f"axes.{LR}: stands twice: {LR} ")


@pytest.mark.parametrize(
    "values",
    [{1: 0.1, "1": 0.2}, {"1e-3": 0.1, "0.001": 0.2}, {1: 0.1, "1.0": 0.2}, [None, "none"], [[2, 3], "[2, 3]"]],
)
def test_two_values_of_one_label_are_refused(tmp_path: Path, values: Any) -> None:
    (line,) = refusal(tmp_path, axes={LR: {"values": values}})
    assert line.startswith(f"axes.{LR}: two values have the label ")


@pytest.mark.parametrize(
    "axis, rule, left",
    [
        ({LR: [0.1, 0.001]}, {LR: "1e-3"}, [0.1]),
        ({LR: ["1e-3", 0.1]}, {LR: 0.001}, [0.1]),
        ({LR: [0.1, 1]}, {LR: "1.0"}, [0.1]),
        ({LR: [0.1, 0.2, 0.3]}, {LR: ["1e-1", 0.3]}, [0.2]),
        ({"constraints.outputs": [None, {"radius": 2}]}, {"constraints.outputs": None}, ["{'radius': 2}"]),
        ({"model.widths": [[8, 4], [16, 8]]}, {"model.widths": [8, 4.0]}, ["[16, 8]"]),
        ({"model.widths": [[8, 4], [16, 8], [4, 4]]}, {"model.widths": [[8, 4], ["16", 8]]}, ["[4, 4]"]),
        ({"head.bias": [True, False]}, {"head.bias": True}, [False]),
        ({LR: {"values": {"small": 0.1, "large": 1.0}}}, {LR: "small"}, ["large"]),
    ],
)
def test_what_is_left_out_is_compared_as_it_is_read(
    tmp_path: Path, axis: dict[str, Any], rule: dict[str, Any], left: list[Any]
) -> None:
    grid = grid_of(tmp_path, axes=axis, exclude=[rule], seeds=2)
    (column,) = axis
    assert [point.cell[column] for point in grid.points] == [label for label in left for _ in range(2)]


@pytest.mark.parametrize(
    "keys, line",
    [
        ({"exclude": [{LR: 0.3}]}, f"exclude.0.{LR}: 0.3 is no value of it; did you mean '0.03'?"),
        ({"exclude": [{LR: "x"}]}, f"exclude.0.{LR}: x is no value of it; there are 0.1, 0.03"),
        ({"exclude": [{LR: [0.1, 7]}]}, f"exclude.0.{LR}: 7 is no value of it; there are 0.1, 0.03"),
        ({"exclude": [{LR: None}]}, f"exclude.0.{LR}: null is no value of it; there are 0.1, 0.03"),
        ({"exclude": [{LR: []}]}, f"exclude.0.{LR}: should name at least one value"),
        ({"exclude": [{"seed": 5}]}, "exclude.0.seed: 5 is no value of it; there are 0, 1"),
        ({"exclude": [{"arm": "own"}]}, "exclude.0.arm: own is no value of it; did you mean 'one'?"),
        ({"exclude": [{}]}, "exclude.0: names no column, and would leave out everything"),
        (
            {"exclude": [{"arm": "one", "momentum": 0.5}]},
            "exclude.0: leaves out nothing: no point has these values together",
        ),
    ],
)
def test_a_rule_that_leaves_out_nothing_says_what_there_is(tmp_path: Path, keys: dict[str, Any], line: str) -> None:
    arms = {"one": {}, "two": {"axes": {MOMENTUM: {"values": [0.5, 0.9], "label": "momentum"}}}}
    assert refusal(tmp_path, axes={LR: [0.1, 0.03]}, arms=arms, seeds=2, **keys) == [line]


@pytest.mark.parametrize("against", ["1e-3", 0.001, "0.0010"])
def test_the_reference_of_a_comparison_is_a_number_however_it_is_written(tmp_path: Path, against: Any) -> None:
    study = {**STUDY, "answer": None, "rows": [LR], "compare": {"column": LR, "against": against}}
    grid = grid_of(tmp_path, axes={LR: [0.001, 0.1]}, study=study)
    assert grid.study.compare is not None
    assert grid.study.compare.against == 0.001 and isinstance(grid.study.compare.against, float)


def test_the_reference_of_a_comparison_may_be_null_or_a_list(tmp_path: Path) -> None:
    for key, values, against, label in [
        ("constraints.outputs", [None, {"radius": 2}], None, "none"),
        ("model.widths", [[8, 4], [16, 8]], [16, 8], "[16, 8]"),
        ("head.bias", [True, False], False, False),
    ]:
        study = {**STUDY, "answer": None, "rows": [key], "compare": {"column": key, "against": against}}
        grid = grid_of(tmp_path, axes={key: values}, study=study)
        assert grid.study.compare is not None
        assert grid.study.compare.against == label


@pytest.mark.parametrize(
    "keys, line",
    [
        (
            {"axes": {"seed": {"values": [1], "label": "s"}}},
            "axes.seed: the seeds are said by the key seeds, at the top",
        ),
        ({"settings": {"seed": 3}}, "settings.seed: the seeds are said by the key seeds, at the top of the file"),
        ({"arms": {"a": {"settings": {"seed": 3}}}}, "arms.a.settings.seed: the seeds are said by the key seeds, at"),
        ({"axes": {LR: {"values": [1], "label": "state"}}}, f"axes.{LR}: there is a column 'state' already"),
        ({"axes": {LR: {"values": [1], "label": "mean"}}}, f"axes.{LR}: there is a column 'mean' already"),
        (
            {"axes": {LR: [0.1]}, "pairs": [{LR: {"values": [1], "label": "rate"}}]},
            f"axes.{LR}: is set by pairs.0.{LR} too",
        ),
        (
            {"axes": {LR: [0.1]}, "arms": {"a": {"settings": {LR: 0.5}}}},
            f"arms.a.settings.{LR}: is set by axes.{LR} too",
        ),
        (
            {"axes": {LR: [0.1], "optimizer": [{"name": "adam", "lr": 1}]}},
            f"axes.{LR}: lies within axes.optimizer, which replaces it",
        ),
        (
            {"axes": {LR: {"low": 1, "high": 1.0001, "count": 1000}}},
            f"axes.{LR}: count: 1000 asked for, but there are 11 different ones of 6 digits",
        ),
        (
            {"axes": {LR: {"low": 1, "high": 1.0001, "draws": 1000}}},
            f"axes.{LR}: draws: 1000 asked for, but few different numbers of 6 digits are there",
        ),
        ({"axes": {LR: {"low": -1e308, "high": 1e308, "count": 3}}}, f"axes.{LR}: low (-1e+308) and high (1e+308) are"),
        ({"axes": {LR: {"low": True, "high": 2, "count": 3}}}, f"axes.{LR}.low: true given, should be a number"),
        ({"axes": {LR: {"low": 1, "high": 2, "count": 10**9}}}, f"axes.{LR}: should have at most 1,000,000 values"),
        ({"extends": "../other.yaml"}, "extends: ../other.yaml given, should be the name of a file in the same folder"),
        ({"extends": 3}, "extends: 3 given, should be the name of a file in the same folder"),
        ({"extends": "sweep.yaml"}, "extends: sweep.yaml extends this file in turn"),
    ],
)
def test_what_would_be_replaced_in_silence_is_refused(tmp_path: Path, keys: dict[str, Any], line: str) -> None:
    (found,) = refusal(tmp_path, **keys)
    assert found.startswith(line)


def test_a_measure_is_no_other_column_and_the_seed_no_override(tmp_path: Path) -> None:
    study = {**STUDY, "measures": STUDY["measures"] | {"state": {"metric": "risk"}}}
    assert refusal(tmp_path, arms=ARMS, study=study) == [
        "study.measures.state: tables have a column 'state' already; give it another name"
    ]
    assert refusal(tmp_path, "seed=7") == ["command line: 'seed=7': the seeds are said by the key seeds of FILE"]


def test_files_that_extend_each_other_in_a_circle(tmp_path: Path) -> None:
    for name, other in [("a", "b"), ("b", "c"), ("c", "b")]:
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"extends": f"{other}.yaml"}))
    with pytest.raises(ConfigError) as refused:
        load_grid(tmp_path / "a.yaml")
    assert str(refused.value) == f"{tmp_path / 'c.yaml'}: extends: b.yaml extends this file in turn"


def test_draws_are_different_and_more_extend_fewer() -> None:
    few, more = (axis_values(Axis(low=0.1, high=0.1002, draws=draws), "a") for draws in (150, 190))
    assert len(set(more)) == 190 and more[:150] == few


def test_a_long_axis_takes_time_in_proportion(tmp_path: Path) -> None:
    values = [round(1e-5 * (index + 1), 5) for index in range(20_000)]
    path = write_sweep(tmp_path, pairs=[{LR: values, RADIUS: values}], exclude=[{LR: values[5:]}])
    start = time.process_time()
    assert len(load_grid(path).points) == 5
    assert time.process_time() - start < 20


def test_seeds_beyond_number_are_not_listed(tmp_path: Path) -> None:
    (line,) = refusal(tmp_path, seeds=10**9)
    assert line == "the grid has more than 10,000 trials; say --yes if that is meant"


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("1e-3", 0.001, True),
        (1, 1.0, True),
        (True, 1, False),
        (None, "none", False),
        ([1, "2"], (1.0, 2), True),
        ({"a": "1e1"}, {"a": 10}, True),
        (2**60, 2**60 + 1, False),
        ("010", 10, False),
    ],
)
def test_two_values_have_one_form_where_they_are_read_alike(one: Any, other: Any, same: bool) -> None:
    assert (form_of(one) == form_of(other)) is same


def test_labels() -> None:
    assert [label_of(value) for value in ("1e-3", "relu", None, (1, 2), True, 3)] == [
        0.001, "relu", "none", "[1, 2]", True, 3,
    ]  # fmt: skip

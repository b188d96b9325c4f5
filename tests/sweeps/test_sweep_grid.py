"""From a sweep file to trials: axes, pairs, arms, exclusions, seeds, identities; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sweep_files import ARMS, BASE, STUDY, write_sweep

from nc_bench.config import Config, ConfigError
from nc_bench.sweeps.axes import Axis, axis_values
from nc_bench.sweeps.checks import check_study
from nc_bench.sweeps.grid import load_grid, trial_id, with_settings
from nc_bench.sweeps.schema import read_sweep


def lines_of(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        check_study(load_grid(path, overrides), path)
    return str(refused.value).replace(f"{path}: ", "").splitlines()


def test_the_grid_is_the_product_of_axes_pairs_arms_and_seeds(tmp_path: Path) -> None:
    path = write_sweep(
        tmp_path,
        axes={"optimizer.lr": [0.1, 0.01, 0.001]},
        pairs=[{"model.widths": [[8, 4], [16, 8]], "constraints.features.radius": [1.0, 2.0]}],
        arms={"plain": {}, "heavy": {"axes": {"optimizer.momentum": {"values": [0.5, 0.9], "label": "momentum"}}}},
        exclude=[{"arm": "heavy", "momentum": 0.9, "optimizer.lr": [0.1, 0.01]}],
        seeds=[3, 5],
    )
    grid = load_grid(path, ["training.epochs=7"])
    assert len(grid.points) == 2 * 3 * 2 * (1 + 2) - 2 * 2 * 2
    assert grid.columns == ("arm", "optimizer.lr", "model.widths", "constraints.features.radius", "momentum")
    assert {point.config.training.epochs for point in grid.points} == {7}
    assert {point.config.seed for point in grid.points} == {point.seed for point in grid.points} == {3, 5}
    for point in grid.points:
        assert point.config.optimizer.lr == point.cell["optimizer.lr"]
        assert str(list(point.config.model.widths)) == point.cell["model.widths"]
        radius = {8: 1.0, 16: 2.0}[point.config.model.widths[0]]
        assert point.config.constraints.features is not None and point.config.constraints.features.radius == radius
    # heavy at momentum 0.9 is the plain arm again; it is left at one rate only
    assert len(grid.trials) == len(grid.points) - 1 * 2 * 2


def test_points_with_equal_configurations_share_a_trial(tmp_path: Path) -> None:
    path = write_sweep(
        tmp_path, arms={"as it is": {}, "said again": {"settings": {"optimizer.momentum": 0.9}}}, seeds=2
    )
    grid = load_grid(path)
    assert len(grid.points) == 4 and len(grid.trials) == 2


def test_a_trial_is_its_numbers_and_its_epochs() -> None:
    config = Config.model_validate(BASE)
    same = Config.model_validate(with_settings(BASE, {"device": "auto", "training.checkpoint_seconds": 5}))
    assert trial_id(config, config) == trial_id(same, config) and len(trial_id(config, config)) == 16
    for change in ({"training.epochs": 3}, {"seed": 1}, {"optimizer.lr": 0.06}, {"record": {"every": "log"}}):
        assert trial_id(Config.model_validate(with_settings(BASE, change)), config) != trial_id(config, config)


def test_settings_replace_sections_and_leave_the_given_ones_alone() -> None:
    before = yaml.safe_dump(BASE)
    changed = with_settings(BASE, {"optimizer": {"name": "adam", "lr": 1e-3}, "optimizer.lr": 0.5, "head.bias": True})
    assert changed["optimizer"] == {"name": "adam", "lr": 0.5} and changed["head"] == {"bias": True}
    assert yaml.safe_dump(BASE) == before


def test_a_base_file_is_found_beside_the_sweep_and_extends_takes_over(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(yaml.safe_dump({**BASE, "seed": 4}))
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump({"base": "base.yaml", "settings": {"optimizer.lr": 0.2}, "seeds": [4]}))
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({"extends": "sweep.yaml", "settings": {"optimizer.lr": 0.3}, "seeds": [9]}))
    assert load_grid(path).points[0].config.optimizer.lr == 0.2
    (point,) = load_grid(other).points
    assert (point.config.optimizer.lr, point.config.seed, load_grid(other).base.seed) == (0.3, 9, 4)


def numbers(axis: Axis, key: str = "a") -> list[float]:
    return [value for _, value in axis_values(axis, key)]


@given(
    count=st.integers(1, 12),
    ends=st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)).map(sorted).filter(lambda e: e[1] > 1.01 * e[0]),
    spacing=st.sampled_from(["linear", "log"]),
)
def test_ranges_and_draws_lie_between_their_ends(count: int, ends: list[float], spacing: str) -> None:
    low, high = ends
    even = numbers(Axis(low=low, high=high, count=count, spacing=spacing))
    space = np.geomspace if spacing == "log" else np.linspace
    np.testing.assert_allclose(even, space(low, high, count), rtol=1e-5)
    draws = [Axis(low=low, high=high, draws=n, spacing=spacing) for n in (count, count + 3)]
    few, more = (numbers(axis) for axis in draws)
    assert few == more[: len(few)] and all(low * (1 - 1e-5) <= value <= high * (1 + 1e-5) for value in more)


def test_numbers_that_yaml_reads_as_text_are_numbers_in_tables() -> None:
    assert axis_values(Axis(values=["1e-3", 4.0, None, [2, 3], "relu"]), "a") == [
        (0.001, "1e-3"),
        (4.0, 4.0),
        ("none", None),
        ("[2, 3]", [2, 3]),
        ("relu", "relu"),
    ]
    assert axis_values(Axis(values={"2e2": [1], "e": [2]}), "a") == [(200.0, [1]), ("e", [2])]


def test_draws_depend_on_the_seed_and_the_key() -> None:
    axes = [(Axis(low=0, high=1, draws=20, seed=seed), key) for seed in (0, 1) for key in ("a", "b")]
    drawn = [tuple(numbers(axis, key)) for axis, key in axes]
    assert len(set(drawn)) == 4
    assert 0.2 < np.mean(drawn) < 0.8
    assert drawn[0] == tuple(numbers(Axis(low=0, high=1, draws=20)))


@pytest.mark.parametrize(
    "keys, line",
    [
        (
            {"axes": {"optimizer.momentun": [0.1]}},
            "axes.optimizer.momentun: names no field of a configuration: unknown key; did you mean 'momentum'?",
        ),
        ({"axes": {"optimizer.lr": [-1.0]}}, "axes.optimizer.lr: -1.0 given, should be greater than 0"),
        (
            {"arms": {"a": {"settings": {"head.bais": True}}}},
            "arms.a.settings.head.bais: names no field of a configuration: unknown key; did you mean 'bias'?",
        ),
        ({"axis": {}}, "axis: unknown key; did you mean 'axes'?"),
        (
            {"axes": {"seed": {"low": 1, "high": 2}}},
            "axes.seed: needs one of values, count and draws, not none",
        ),
        ({"axes": {"optimizer.lr": {"low": 1, "draws": 2}}}, "axes.optimizer.lr: count and draws need low and high"),
        (
            {"axes": {"optimizer.lr": {"low": 0, "high": 2, "count": 2, "spacing": "log"}}},
            "axes.optimizer.lr: low (0) should be positive for spacing: log",
        ),
        (
            {"axes": {"optimizer.lr": {"value": [1]}}},
            "axes.optimizer.lr.value: unknown key; did you mean 'values'?",
        ),
        (
            {"axes": {"optimizer.lr": []}},
            "axes.optimizer.lr: values should be a list, or a mapping of labels to values, with at least one of them",
        ),
        (
            {"pairs": [{"optimizer.lr": [0.1, 0.2], "optimizer.momentum": [0.5]}]},
            "pairs.0: paired axes should have equally many values, not optimizer.lr 2, optimizer.momentum 1",
        ),
        (
            {"arms": {"a": {"settings": {"optimizer.name": "adam"}}}},
            "arms.a.settings.optimizer.name: adam has no momentum, as the base has; replace the whole section by "
            "optimizer: {name: adam, ...}",
        ),
        ({"axes": {"seed": [1, 2]}}, "axes.seed: the seeds are said by the key seeds, at the top of the file"),
        ({"exclude": [{"lr": 1}]}, "exclude.0.lr: names no column; there are arm, seed"),
        ({"exclude": [{"seed": [0]}]}, "exclude: leaves no trial"),
        ({"axes": {"optimizer.lr": {"lw": 1, "count": 2}}}, "axes.optimizer.lr.lw: unknown key; did you mean 'low'?"),
        ({"pairs": [{"a": [1]}, {"b": 4}]}, "pairs.1.b: 4 given, should be a mapping of keys to values"),
        ({"pairs": [{"a": {"sead": 4}}]}, "pairs.0.a.sead: unknown key; did you mean 'seed'?"),
        ({"arms": {"one": {"settngs": {}}}}, "arms.one.settngs: unknown key; did you mean 'settings'?"),
        ({"seeds": 0}, "seeds: 0 given, should be greater than or equal to 1"),
        ({"seeds": [1, -1]}, "seeds.1: -1 given, should be greater than or equal to 0"),
        ({"seeds": [1, 1]}, "seeds: should be distinct, and at least one"),
        ({"settings": {"optimizer.lrr": 1}}, "settings: optimizer.lrr: unknown key; did you mean 'lr'?"),
        ({"study": {**STUDY, "answr": "a"}}, "study.answr: unknown key; did you mean 'answer'?"),
    ],
)
def test_what_is_wrong_is_one_line_that_says_where(tmp_path: Path, keys: dict[str, Any], line: str) -> None:
    assert lines_of(write_sweep(tmp_path, **keys)) == [line]


def test_every_problem_of_a_study_is_a_line(tmp_path: Path) -> None:
    study = {"question": "", "rows": ["seed"], "figure": {"kind": "curve", "measures": ["risk"]}}
    path = write_sweep(tmp_path, study=study)
    with pytest.raises(ConfigError) as caught:
        load_grid(path)
    kinds = "should be curves, lines or heat_map; did you mean 'curves'?"
    assert str(caught.value).splitlines() == [
        f"{path}: study.question: '' given, should not be empty",
        f"{path}: study.figure.kind: curve given, {kinds}",
    ]
    lines = lines_of(write_sweep(tmp_path, arms=ARMS, study={"answer": "fixed_head"}))
    for field in ("question", "hypothesis", "prediction", "matched", "refuted_if", "rule", "limits"):
        assert any(line.startswith(f"study.{field}: missing (") for line in lines), field


@pytest.mark.parametrize(
    "change, line",
    [
        ({"answer": "fixed_heads"}, "study.answer: fixed_heads given; did you mean 'fixed_head'?"),
        (
            {"measures": {"nc1_quotient": {"metric": "nc1_quotent"}}, "compare": None},
            "study.measures.nc1_quotient.metric: nc1_quotent given; did you mean 'nc1_quotient'?",
        ),
        (
            {"measures": {"nc1_quotient": {"metric": "nc1_quotient", "layer": "layer7"}}, "compare": None},
            "study.measures.nc1_quotient.layer: layer7 given, which no trial records (record.layers)",
        ),
        ({"compare": {"against": "true"}}, "study.compare.against: 'true' is not among trained, fixed simplex"),
        (
            {"figure": {"kind": "lines", "measures": ["nc1_quotient"]}},
            "study.figure.x: missing, lines need it",
        ),
    ],
)
def test_a_study_that_does_not_fit_its_grid(tmp_path: Path, change: dict[str, Any], line: str) -> None:
    assert lines_of(write_sweep(tmp_path, arms=ARMS, study={**STUDY, **change})) == [line]


@pytest.mark.parametrize(
    ("measure", "record", "line"),
    [
        (
            {"metric": "accuracy", "classes": [1]},
            {"record.per_class": ["accuracy"]},
            "classes: needs record.per_class: [accuracy] in every trial",
        ),
        (
            {"metric": "nc1_quotient", "split": "test_correct"},
            {"record.correct_only": True},
            "split: test_correct given, which needs record.correct_only: true in every trial",
        ),
        (
            {"metric": "kernel_share"},
            {"record.kernel_share": True},
            "metric: kernel_share needs record.kernel_share in every trial",
        ),
    ],
)
def test_what_is_recorded_on_request_has_to_be_asked_for(
    tmp_path: Path, measure: dict[str, Any], record: dict[str, Any], line: str
) -> None:
    study = {**STUDY, "answer": None, "measures": {"nc1_quotient": measure}, "compare": None}
    path = write_sweep(tmp_path, arms=ARMS, study=study, settings={"record.kernel_share": False})
    assert lines_of(path) == [f"study.measures.nc1_quotient.{line}"]
    path = write_sweep(tmp_path, arms=ARMS, study=study, settings=record)
    check_study(load_grid(path), path)


def test_a_number_per_class_is_none_of_the_metrics(tmp_path: Path) -> None:
    measures = {"nc1_quotient": {"metric": "nc1_quotient", "classes": [1]}}
    (line, *_) = lines_of(write_sweep(tmp_path, arms=ARMS, study={**STUDY, "measures": measures, "compare": None}))
    assert line.startswith("study.measures.nc1_quotient.metric: nc1_quotient given; known are accuracy, cosine")


@pytest.mark.parametrize("layers", [["layer1"], "all"])
def test_a_study_asks_a_hidden_layer_only_for_what_is_measured_there(tmp_path: Path, layers: Any) -> None:
    def asks(metric: str) -> list[str]:
        measures = {"nc1_quotient": {"metric": metric, "layer": "layer1"}}
        keys: dict[str, Any] = {"settings": {"record.layers": layers}, "arms": ARMS}
        return lines_of(write_sweep(tmp_path, study={**STUDY, "measures": measures, "compare": None}, **keys))

    for metric in ("risk", "objective"):
        only = f"layer1 given, but {metric} is measured at the penultimate layer only"
        assert asks(metric) == [f"study.measures.nc1_quotient.layer: {only}"]
    path = write_sweep(
        tmp_path,
        settings={"record.layers": layers},
        arms=ARMS,
        study={**STUDY, "answer": None, "measures": {"nc1_quotient": {"metric": "nc1_quotient", "layer": "layer1"}}},
    )
    check_study(load_grid(path), path)


def test_columns_that_a_table_does_not_show_need_a_match(tmp_path: Path) -> None:
    path = write_sweep(tmp_path, arms=ARMS, axes={"optimizer.lr": [0.1, 0.2]}, study=STUDY)
    assert lines_of(path) == [
        "study.rows: optimizer.lr of the grid missing; name them, or say by match which of their values count"
    ]
    match = {"measure": "test accuracy"}
    write_sweep(tmp_path, arms=ARMS, axes={"optimizer.lr": [0.1, 0.2]}, study={**STUDY, "match": match})
    assert lines_of(path) == ["study.match: at_most or at_least missing"]
    match["at_least"] = "0.9"
    write_sweep(tmp_path, arms=ARMS, axes={"optimizer.lr": [0.1, 0.2]}, study={**STUDY, "match": match})
    check_study(load_grid(path), path)


def test_ten_thousand_trials_need_a_yes(tmp_path: Path) -> None:
    path = write_sweep(tmp_path, axes={"optimizer.lr": {"low": 0.1, "high": 0.2, "count": 10_001}})
    assert lines_of(path) == ["the grid has more than 10,000 trials; say --yes if that is meant"]
    assert len(load_grid(path, any_size=True).points) == 10_001


def test_a_sweep_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_sweep(tmp_path / "none.yaml")
    path = tmp_path / "sweep.yaml"
    path.write_text("base: none.yaml\n")
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        load_grid(path)


def test_data_in_another_folder_make_another_trial(tmp_path: Path) -> None:
    data = {"name": "image_folder", "image_size": 8, "channels": 1}
    base = {**BASE, "data": {**data, "root": str(tmp_path / "a")}}
    path = write_sweep(tmp_path, base=base, axes={"data.root": [str(tmp_path / name) for name in ("a", "b", "c/../b")]})
    grid = load_grid(path)
    assert len(grid.points) == 3 and len(grid.trials) == 2
    moved = load_grid(write_sweep(tmp_path, base={**base, "data": {**data, "root": str(tmp_path / "elsewhere")}}))
    assert {point.id for point in moved.points} < set(grid.trials)

"""Tables of statistics over seeds: cells, differences, matched settings; and how they are written."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from nc_bench.errors import ConfigError
from nc_bench.statistics import holm, unpaired_difference
from nc_bench.sweeps.collect import first_epoch_above, measured
from nc_bench.sweeps.comparison import cell_statistics, difference_table, matched_runs, step_of
from nc_bench.sweeps.study import Measure
from nc_bench.sweeps.tables import difference_markdown, latex_table, markdown_table

RUNS = pd.DataFrame(
    {
        "arm": ["b", "b", "b", "a", "a", "a"],
        "seed": [0, 1, 2, 2, 1, 7],
        "x": [1.0, 2.0, 6.0, 5.0, 1.5, 100.0],
        "y": [1.0, 1.0, 1.0, math.nan, 2.0, 2.0],
    }
)


def test_cells_keep_their_order() -> None:
    cells = cell_statistics(RUNS, ["arm"], ["x", "y"])
    assert list(cells["arm"]) == ["b", "b", "a", "a"] and list(cells["measure"]) == ["x", "y", "x", "y"]
    assert list(cells["runs"]) == [3, 3, 3, 2] and cells["mean"][0] == 3.0


def test_differences_are_taken_on_the_seeds_that_both_have() -> None:
    rows = difference_table(RUNS, "arm", "a", [], ["x", "y"]).set_index("measure")
    assert rows.loc["x", "runs"] == 2 and rows.loc["x", "mean"] == pytest.approx((0.5 + 1.0) / 2)
    assert rows.loc["y", "runs"] == 1 and rows.loc["y", "mean"] == -1.0
    with pytest.raises(ConfigError, match=r"study\.compare\.against: arm is never c; it is b, a"):
        difference_table(RUNS, "arm", "c", [], ["x"])


def test_pairing_takes_out_what_the_seeds_share() -> None:
    seeds = np.arange(6)
    luck = 100.0 * np.random.default_rng(0).normal(size=6)
    arms = [pd.DataFrame({"arm": arm, "seed": seeds, "x": luck + gain}) for arm, gain in (("a", 0.0), ("b", 1.0))]
    (row,) = difference_table(pd.concat(arms), "arm", "a", [], ["x"]).to_dict("records")
    assert row["low"] == pytest.approx(1.0) and row["high"] == pytest.approx(1.0)


def test_arms_without_common_seeds_are_compared_by_welch() -> None:
    seeds = np.arange(4)
    values = np.random.default_rng(0).normal(size=(2, 4))
    arms = [pd.DataFrame({"arm": "a", "seed": seeds, "x": values[0]})]
    arms += [pd.DataFrame({"arm": "b", "seed": 10 + seeds, "x": values[1]})]
    (row,) = difference_table(pd.concat(arms), "arm", "a", [], ["x"]).to_dict("records")
    assert not row["paired"] and row["p_value"] == pytest.approx(unpaired_difference(values[1], values[0]).p_value)
    assert "unpaired" in difference_markdown(pd.DataFrame([{"arm": "b", "measure": "x", **row}]), ["arm"])


def test_p_is_adjusted_for_all_differences_of_a_table() -> None:
    random = np.random.default_rng(0)
    runs = pd.DataFrame({"arm": ["a"] * 5 + ["b"] * 5 + ["c"] * 5, "seed": [*range(5)] * 3})
    runs = runs.assign(x=random.normal(size=15), y=random.normal(size=15), z=math.nan)
    table = difference_table(runs, "arm", "a", [], ["x", "y", "z"])
    assert list(table["p_value"].isna()) == [False, False, True] * 2
    np.testing.assert_allclose(table["p_holm"], holm(table["p_value"].to_numpy()))


def test_an_epoch_is_known_up_to_the_step_of_the_record_grid() -> None:
    epochs, values = [1, 2, 5, 10, 20], [0.5, 0.95, 0.8, 0.91, 0.9]
    assert first_epoch_above(epochs, values, 0.9) == (10.0, 5.0)
    assert first_epoch_above(epochs, values, 0.4) == (1.0, 0.0)
    for never in (0.92, math.nan):
        assert all(map(math.isnan, first_epoch_above(epochs, [*values[:-1], never - 0.03], 0.9)))
    runs = pd.DataFrame({"arm": ["a", "a", "b", "b"], "seed": [0, 1, 0, 1], "x": [10.0, 10.0, 20.0, 20.0]})
    runs[step_of("x")] = [5.0, 5.0, 10.0, 10.0]
    cells = cell_statistics(runs, ["arm"], ["x"])
    assert list(cells["low"]) == [5.0, 10.0] and list(cells["high"]) == [10.0, 20.0]
    (row,) = difference_table(runs, "arm", "a", [], ["x"]).to_dict("records")
    assert (row["low"], row["high"], row["p_value"], row["step"]) == (0.0, 20.0, 1.0, 10.0)
    runs[step_of("x")] = 1.0
    (row,) = difference_table(runs, "arm", "a", [], ["x"]).to_dict("records")
    assert (row["low"], row["high"], row["p_value"]) == (9.0, 11.0, 0.0)


def test_matched_settings_match_in_every_seed_and_are_put_together_within_a_seed() -> None:
    runs = pd.DataFrame({"arm": "a", "lr": [1, 1, 2, 2, 3, 3, 4, 4], "seed": [0, 1] * 4})
    runs = runs.assign(x=[0.1, 0.2, 0.1, 9.0, 0.3, 0.4, 0.5, math.nan], y=[1.0, 2.0, 9.0, 9.0, 3.0, 6.0, 9.0, 9.0])
    found = matched_runs(runs, ["arm"], ["lr"], ["x", "y"], runs["x"] <= 1.0)
    assert (
        list(found["y"]) == [2.0, 4.0] and list(found["seed"]) == [0, 1] and list(found.columns[:2]) == ["arm", "seed"]
    )
    assert matched_runs(runs, ["arm"], ["lr"], ["x"], runs["x"] < 0).empty


def test_tables_say_mean_deviation_and_interval() -> None:
    cells = pd.DataFrame(
        [
            ("b", "x", 3, 3.0, 2.6458, 1.0, 6.0),
            ("b", "a_b", 3, 1.0, 0.0, 1.0, 1.0),
            ("a", "x", 3, 35.5, 55.86, 1.5, 68.333),
            ("a", "a_b", 2, 2.0, 0.0, 2.0, 2.0),
        ],
        columns=["arm", "measure", "runs", "mean", "std", "low", "high"],
    )
    assert markdown_table(cells, ["arm"]).splitlines() == [
        "| arm | x | a_b |",
        "| --- | --- | --- |",
        "| b | 3 ± 2.65 [1, 6] | 1 ± 0 [1, 1] |",
        "| a | 35.5 ± 55.9 [1.5, 68.3] | 2 ± 0 [2, 2] (n = 2) |",
    ]
    latex = latex_table(cells, ["arm"]).splitlines()
    assert latex[0] == r"\begin{tabular}{lrr}" and latex[2] == r"arm & x & a\_b \\"
    assert latex[4] == r"b & $3 \pm 2.65$ & $1 \pm 0$ \\"


def test_tables_say_where_there_is_no_number() -> None:
    cells = cell_statistics(RUNS[3:4], ["arm"], ["x", "y"])
    assert markdown_table(cells, ["arm"]).splitlines()[2] == "| a | 5 | - |"
    assert latex_table(cells, ["arm"]).splitlines()[4] == r"a & $5$ & -- \\"


def test_differences_are_written_with_their_adjusted_p() -> None:
    rows = [
        ("b", "x", True, 1.0, 0.5, 1.5, 0.0001, 0.0002),
        ("b", "y", True, 1.0, -0.5, 2.5, 0.2, 0.2),
        ("b", "z", True, 1.0, math.nan, math.nan, math.nan, math.nan),
    ]
    table = pd.DataFrame(rows, columns=["arm", "measure", "paired", "mean", "low", "high", "p_value", "p_holm"])
    written = difference_markdown(table, ["arm"]).splitlines()[2]
    assert written == "| b | 1 [0.5, 1.5], p &lt; .001 | 1 [-0.5, 2.5], p = 0.200 | 1 |"


def test_a_measure_of_some_classes_is_the_mean_of_their_numbers() -> None:
    row = {"accuracy": 0.5, "accuracy_class_0": 1.0, "accuracy_class_1": 0.75, "accuracy_class_2": None}
    for classes, expected in ((None, 0.5), ((1,), 0.75), ((0, 1), 0.875), ((1, 2), math.nan), ((0, 3), math.nan)):
        found = measured(row, Measure(metric="accuracy", classes=classes))
        assert found == pytest.approx(expected, nan_ok=True)

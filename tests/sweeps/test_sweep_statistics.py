"""Statistics over seeds, against SciPy and by hand; tables that say them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from nc_bench.errors import ConfigError
from nc_bench.sweeps.statistics import at_best, bootstrap_interval, cell_statistics, paired_differences, summarise
from nc_bench.sweeps.tables import latex_table, markdown_table

numbers = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12)


@given(numbers)
def test_mean_deviation_and_an_interval_inside_the_range(values: list[float]) -> None:
    found = summarise(values)
    assert found.runs == len(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert found.std == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    rounding = 1e-9
    assert min(values) - rounding <= found.low <= found.mean + rounding
    assert found.mean - rounding <= found.high <= max(values) + rounding


@given(numbers, st.floats(-10, 10), st.floats(0.1, 10))
def test_the_interval_follows_shift_and_scale(values: list[float], shift: float, scale: float) -> None:
    low, high = bootstrap_interval(np.array(values))
    moved = bootstrap_interval(scale * np.array(values) + shift)
    np.testing.assert_allclose(moved, (scale * low + shift, scale * high + shift), atol=1e-6)


@pytest.mark.parametrize("size", [5, 12])
def test_the_interval_is_scipys(size: int) -> None:
    values = np.random.default_rng(size).normal(size=size)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=50_000, rng=np.random.default_rng(0)
    ).confidence_interval
    np.testing.assert_allclose(bootstrap_interval(values), theirs, atol=0.03)


def test_three_values_by_hand() -> None:
    """Of the 27 resamples of 0, 0, 3 the means are 0 (8), 1 (12), 2 (6), 3 (1)."""
    assert bootstrap_interval(np.array([3.0, 0.0, 0.0])) == pytest.approx((0.0, 2 + 0.35))


def test_undefined_values_do_not_count_and_one_run_has_no_summarise() -> None:
    assert summarise([1.0, math.nan, 3.0]) == summarise([1.0, 3.0])
    alone = summarise([2.0, math.nan])
    assert (alone.runs, alone.mean) == (1, 2.0) and math.isnan(alone.std) and math.isnan(alone.low)
    assert summarise([]).runs == 0 and math.isnan(summarise([math.nan]).mean)


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
    rows = paired_differences(RUNS, "arm", "a", [], ["x", "y"]).set_index("measure")
    assert rows.loc["x", "runs"] == 2 and rows.loc["x", "mean"] == pytest.approx((0.5 + 1.0) / 2)
    assert rows.loc["y", "runs"] == 1 and rows.loc["y", "mean"] == -1.0
    with pytest.raises(ConfigError, match=r"study\.compare\.against: arm is never c; it is b, a"):
        paired_differences(RUNS, "arm", "c", [], ["x"])


def test_pairing_takes_out_what_the_seeds_share() -> None:
    seeds = np.arange(6)
    luck = 100.0 * np.random.default_rng(0).normal(size=6)
    arms = [pd.DataFrame({"arm": arm, "seed": seeds, "x": luck + gain}) for arm, gain in (("a", 0.0), ("b", 1.0))]
    (row,) = paired_differences(pd.concat(arms), "arm", "a", [], ["x"]).to_dict("records")
    assert row["low"] == pytest.approx(1.0) and row["high"] == pytest.approx(1.0)


def test_the_best_setting_has_all_its_seeds() -> None:
    runs = pd.DataFrame(
        {
            "arm": ["a"] * 6,
            "lr": [1, 1, 2, 2, 3, 3],
            "seed": [0, 1] * 3,
            "x": [0.5, 0.7, 0.9, math.nan, 0.8, 0.2],
            "converged": True,
        }
    )
    assert list(at_best(runs, ["arm"], ["lr"], "x", largest=True)["lr"]) == [1, 1]
    assert list(at_best(runs, ["arm"], ["lr"], "x", largest=False)["lr"]) == [3, 3]
    assert at_best(runs[2:4], ["arm"], ["lr"], "x", largest=True).empty
    assert list(at_best(runs, ["arm"], ["lr"], "x", largest=True, number=2)["lr"]) == [1, 1, 3, 3]
    assert list(at_best(runs, ["arm"], ["lr"], "x", largest=False, number=9)["lr"]) == [3, 3, 1, 1]


def test_the_best_setting_has_converged_if_one_has() -> None:
    runs = pd.DataFrame({"arm": "a", "lr": [1, 1, 2, 2], "seed": [0, 1] * 2, "x": [0.5, 0.7, 0.9, 0.8]})
    one_setting, none = [True, True, True, False], [False] * 4
    assert list(at_best(runs.assign(converged=one_setting), ["arm"], ["lr"], "x", largest=True)["lr"]) == [1, 1]
    assert list(at_best(runs.assign(converged=none), ["arm"], ["lr"], "x", largest=True)["lr"]) == [2, 2]


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
        "| a | 35.5 ± 55.9 [1.5, 68.3] | 2 ± 0 [2, 2] |",
    ]
    latex = latex_table(cells, ["arm"]).splitlines()
    assert latex[0] == r"\begin{tabular}{lrr}" and latex[2] == r"arm & x & a\_b \\"
    assert latex[4] == r"b & $3 \pm 2.65$ & $1 \pm 0$ \\"


def test_tables_say_where_there_is_no_number() -> None:
    cells = cell_statistics(RUNS[3:4], ["arm"], ["x", "y"])
    assert markdown_table(cells, ["arm"]).splitlines()[2] == "| a | 5 | - |"
    assert latex_table(cells, ["arm"]).splitlines()[4] == r"a & $5$ & -- \\"


@pytest.mark.parametrize("scale", [1e300, 1.2e308, 1e-300])
def test_statistics_of_very_large_and_very_small_numbers(scale: float) -> None:
    found, usual = summarise([scale, 1.25 * scale, 0.5 * scale]), summarise([1.0, 1.25, 0.5])
    for name in ("mean", "std", "low", "high"):
        assert getattr(found, name) == pytest.approx(scale * getattr(usual, name), rel=1e-12), name


def test_a_value_that_is_not_finite_is_left_out_without_a_warning() -> None:
    assert summarise([1.0, math.inf, 3.0, math.nan]) == summarise([1.0, 3.0])

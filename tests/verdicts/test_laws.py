"""The laws of every row: what networks measure keeps them, and one row that breaks one is named."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import network

from nc_bench import collapse_metrics
from nc_bench.config import Config
from nc_bench.metrics.names import BUDGET_PARTS
from nc_bench.runs.directory import Verdict
from nc_bench.runs.rows import rows_to_frame
from nc_bench.verdicts.laws import EFFICIENCIES, GAPS, LAWS, PARTS, judge_laws, simplex_caps

NAMES = [law.name for law in LAWS]
BOUNDED = network(constraints={"outputs": {"radius": 2.0}})
SHAPE = {"classes": 4, "feature_width": 2}


def measured_rows(dtype: str = "float64", scale: float = 1.0, bias: float = 0.1, seed: int = 0) -> pd.DataFrame:
    """Rows of both splits at three epochs, whose features gather more and more around four means in the plane."""
    random = np.random.default_rng(seed)
    means, labels = random.standard_normal((4, 2)), np.arange(20) % 4
    rows: list[dict[str, Any]] = []
    for epoch, spread in enumerate((1.0, 0.1, 1e-4), 1):
        for split in ("train", "test"):
            features = scale * (means[labels] + spread * random.standard_normal((20, 2)))
            weight, offsets = means + 0.3 * random.standard_normal((4, 2)), bias * random.standard_normal(4)
            metrics = collapse_metrics(features.astype(dtype), labels, scale * weight, offsets)
            rows.append({"epoch": epoch, "step": epoch, "split": split, "layer": "penultimate", **metrics})
    return rows_to_frame([{**row, "seconds": 1.0} for row in rows])


def laws(rows: pd.DataFrame, config: Config | None = None) -> dict[str, Verdict]:
    judged = judge_laws(config or network(dtype="float64"), rows, simplex_caps(SHAPE))
    assert [law["name"] for law in judged] == NAMES
    return {law["name"]: law for law in judged}


def verdicts(rows: pd.DataFrame, config: Config | None = None) -> dict[str, str]:
    return {name: law["verdict"] for name, law in laws(rows, config).items()}


def test_the_parts_are_those_that_are_measured() -> None:
    assert PARTS == BUDGET_PARTS


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["float64", "float32"]),
    st.sampled_from([1e-9, 1e-3, 0.1, 1.0, 30.0, 1e6]),
    st.sampled_from([0.0, 1e-9, 1e-3, 1.0, 1e6]),
    st.integers(0, 10**6),
)
def test_whatever_is_measured_keeps_every_law(dtype: str, scale: float, bias: float, seed: int) -> None:
    """Outputs from 1e-18 to 1e12, of features of either precision."""
    assert verdicts(measured_rows(dtype, scale, bias, seed), network(dtype=dtype)) == dict.fromkeys(NAMES, "holds")


@pytest.mark.parametrize(
    ("column", "value", "law"),
    [
        ("risk_gap", -1e-6, "risk_gap"),
        ("simplex_efficiency", 1.001, "risk_gap"),
        ("jensen_gap", -1e-6, "jensen_gap"),
        *((name, -1e-6, "budget_gaps") for name in GAPS),
        *((name, 1.001, "budget_efficiencies") for name in EFFICIENCIES),
        ("efficiency_simplex", math.sqrt(2 / 3) + 1e-5, "budget_efficiencies"),
        ("output_efficiency", 1 + 1e-6, "output_efficiency"),
    ],
)
def test_one_row_that_breaks_a_law_fails_it_and_is_named(column: str, value: float, law: str) -> None:
    rows = measured_rows()
    place = rows.index[3]
    rows.loc[place, column] = value
    broken = laws(rows)[law]
    assert broken["verdict"] == "fails" and abs(broken["deviation"]) > broken["tolerance"]
    assert broken["claim"].endswith("(test split, epoch 2)")
    assert column in broken["claim"] or "the six" in broken["claim"]
    assert broken["measured"] == value or "simplex" in column


@pytest.mark.parametrize(("law", "column"), [("budget_gaps", "gap_norm"), ("budget_efficiencies", "efficiency_norm")])
def test_parts_that_are_allowed_one_by_one_have_to_make_up_the_whole(law: str, column: str) -> None:
    rows = measured_rows()
    rows.loc[rows.index[2], column] *= 0.9
    broken = laws(rows)[law]
    assert broken["verdict"] == "fails" and "broken by the " in broken["claim"]
    assert broken["claim"].endswith("(train split, epoch 2)")


def test_a_share_that_is_too_small_to_show_in_nats_is_seen() -> None:
    rows = measured_rows(scale=1e-7, bias=1e-15)
    rows.loc[rows.index[5], "efficiency_pairs"] = 1.01
    assert verdicts(rows)["budget_gaps"] == "holds" and verdicts(rows)["budget_efficiencies"] == "fails"


def test_the_layer_of_a_broken_row_is_named() -> None:
    rows = measured_rows()
    inner = rows[["epoch", "step", "split", "efficiency_simplex", "efficiency_norm"]].assign(layer="block 1")
    assert verdicts(pd.concat([rows, inner])) == dict.fromkeys(NAMES, "holds")
    inner.loc[inner.index[1], "efficiency_norm"] = 1.5
    broken = laws(pd.concat([inner, rows]))["budget_efficiencies"]
    assert broken["claim"].endswith("broken by efficiency_norm (layer block 1, test split, epoch 1)")


def test_wider_layers_have_another_cap() -> None:
    deep = simplex_caps({**SHAPE, "layers": {"block 1": {"width": 1}, "block 2": {"width": 40}}})
    assert deep == {"block 1": math.sqrt(1 / 3), "block 2": 1.0, "penultimate": math.sqrt(2 / 3)}
    assert simplex_caps({"classes": 1, "feature_width": 3}) == {"penultimate": 1.0}


def test_a_law_is_not_applicable_only_where_no_row_has_a_value() -> None:
    rows = measured_rows()
    some = rows.copy()
    some.loc[some.index[:-1], NAMES[:2]] = math.nan
    assert verdicts(some) == dict.fromkeys(NAMES, "holds")
    assert verdicts(rows.drop(columns=list(GAPS)))["budget_gaps"] == "not applicable"
    none = laws(rows.assign(output_efficiency=math.nan, jensen_gap=math.nan))
    for name in ("output_efficiency", "jensen_gap"):
        assert none[name]["verdict"] == "not applicable" and math.isnan(none[name]["deviation"])


def test_bounded_outputs_have_the_laws_that_need_no_linear_head() -> None:
    rows = measured_rows()
    of_means = ["jensen_gap", "gap_within", "gap_pairs", "efficiency_within", "efficiency_pairs"]
    rows[of_means], rows["risk_gap"] = math.nan, -1.0
    said = verdicts(rows, BOUNDED)
    assert said["risk_gap"] == said["jensen_gap"] == "not applicable"
    assert {said[name] for name in ("budget_gaps", "budget_efficiencies", "output_efficiency")} == {"holds"}
    rows.loc[rows.index[0], "output_efficiency"] = 1.1
    assert verdicts(rows, BOUNDED)["output_efficiency"] == "fails"
    assert "bounded" in laws(rows, BOUNDED)["risk_gap"]["assumption"]

"""Verdicts: tolerances, and the law that no row may break."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from small_runs import network, table

from nc_bench.config import Config
from nc_bench.runs.directory import VERDICT_COLUMNS, Verdict
from nc_bench.runs.rows import rows_to_frame
from nc_bench.verdicts.claims import CLAIMS
from nc_bench.verdicts.expectations import Expectation, expectations
from nc_bench.verdicts.judging import judge
from nc_bench.verdicts.laws import LAWS

EQUAL = (10,) * 10
STILL = [0.99] * 4
RESTS = {"residual": 0.01}
"""What says that a run is at rest: its head's stationarity residual."""
LAW_NAMES = [law.name for law in LAWS]


def frame(
    efficiencies: list[float], *, gaps: list[float] | None = None, residual: float = math.nan, **last: float
) -> pd.DataFrame:
    """A train and a test row per epoch; the given values in the last epoch's train row, nonsense in the others."""
    rows: list[dict[str, Any]] = []
    for epoch, efficiency in enumerate(efficiencies, 1):
        shared = {"epoch": epoch, "step": epoch, "layer": "penultimate", "seconds": 1.0}
        shared |= dict.fromkeys(CLAIMS, 77.0) | {"accuracy": 1.0, "stationarity_residual": residual}
        shared["risk_gap"] = 0.1 if gaps is None else gaps[epoch - 1]
        rows.append({**shared, "split": "train", "simplex_efficiency": efficiency})
        rows.append({**shared, "split": "test", "simplex_efficiency": 0.5})
    rows[-2] |= last
    return rows_to_frame(rows)


def expected(**values: float) -> list[Expectation]:
    return [Expectation(values=values, assumption="as assumed", source="as derived")]


def observed(**values: float) -> Expectation:
    return Expectation(values=values, assumption="observed", source="somewhere", proved=False)


def verdict(
    name: str,
    measured: float,
    *,
    predicted: float = 0.0,
    config: Config | None = None,
    null: Mapping[str, float] | None = None,
    proved: bool = False,
    residual: float = 0.01,
    later: float | None = None,
) -> Verdict:
    """On a run whose stationarity residual says that it is at rest, unless said otherwise."""
    values: dict[str, float] = {name: measured}
    rows = frame([values.pop("simplex_efficiency", 0.5)] * 4, residual=residual, **values)
    expectation = expected(**{name: predicted})[0] if proved else observed(**{name: predicted})
    twin = None if later is None else {name: later}
    judged = judge(config or network(), [expectation], rows, null or {}, later=twin)
    return next(row for row in judged if row["name"] == name)


@pytest.mark.parametrize(
    ("name", "predicted", "null", "tolerance"),
    [
        ("nc1_quotient", 0.0, math.nan, 0.05),
        ("nc2_equiangular", 0.0, 0.4, 0.05),
        ("nc2_equiangular", 0.0, 0.04, 0.02),
        ("nc2_equiangular_worst", 0.0, 0.4, 0.15),
        ("nc2_equiangular_worst", 0.0, 0.2, 0.1),
        ("nc1_radius", 0.0, math.nan, 0.25),
        ("efficiency_simplex", 1.0, 0.4, 0.05),
        ("efficiency_simplex", 1.0, 0.96, 0.02),
        ("centre_offset", 0.3, 0.31, 0.05),
        ("simplex_efficiency", 1.0, math.nan, 0.05),
    ],
)
def test_a_networks_tolerance_is_absolute_and_at_most_half_of_what_chance_gives(
    name: str, predicted: float, null: float, tolerance: float
) -> None:
    for factor, said in ((0.999, "holds"), (-0.999, "holds"), (1.001, "fails"), (-1.001, "fails")):
        measured = predicted + factor * tolerance
        row = verdict(name, measured, predicted=predicted, null={name: null})
        assert row["verdict"] == said and row["tolerance"] == pytest.approx(tolerance)
        assert row["deviation"] == pytest.approx(factor * tolerance)
        assert row["predicted"] == predicted and row["measured"] == measured
        assert row["null"] == pytest.approx(null, nan_ok=True)


@pytest.mark.parametrize("name", ["margin", "feature_radius", "head_opnorm"])
def test_sizes_are_judged_relatively(name: str) -> None:
    for factor, said in ((1.049, "holds"), (0.951, "holds"), (1.051, "fails"), (0.949, "fails")):
        row = verdict(name, 0.04 * factor, predicted=0.04)
        assert row["verdict"] == said and row["deviation"] == pytest.approx(factor - 1)


@pytest.mark.parametrize("equal_outputs", [2.3, 0.041])
def test_a_risk_is_judged_by_its_share_of_what_can_be_gained(equal_outputs: float) -> None:
    """In a small ball the minimum is close to the risk of equal outputs."""
    for share, said in ((0.049, "holds"), (0.051, "not reached"), (-0.049, "holds"), (-0.051, "fails")):
        risk = 0.04 + share * (equal_outputs - 0.04)
        known = Expectation(values={"risk": 0.04}, assumption="", source="", equal_outputs={"risk": equal_outputs})
        row, *_ = judge(network(), [known], frame(STILL, risk=risk), {})
        assert (row["verdict"], row["tolerance"]) == (said, 0.05) and row["deviation"] == pytest.approx(share)


@pytest.mark.parametrize(("name", "predicted", "tolerance"), [("risk", 0.04, 1e-9), ("nc2_etf", 0.0, 1e-4)])
def test_a_table_is_held_to_its_minimiser(name: str, predicted: float, tolerance: float) -> None:
    for factor, said in ((0.99, "holds"), (1.01, "not reached")):
        measured = predicted + factor * tolerance * (predicted or 1)
        row = verdict(name, measured, predicted=predicted, config=table(), null={name: 1e-5}, proved=True)
        assert (row["verdict"], row["tolerance"]) == (said, tolerance)


def test_in_single_precision_a_table_reaches_its_risk_to_rounding() -> None:
    row = verdict("risk", 0.04 * (1 + 1e-7), predicted=0.04, config=table(dtype="float32"), proved=True)
    assert (row["verdict"], row["tolerance"]) == ("holds", 1e-5)


def test_under_autocast_a_table_is_held_to_a_networks_tolerance() -> None:
    config = table(dtype="float32", training={"autocast": "bfloat16"})
    assert verdict("risk", 0.04 * 1.01, predicted=0.04, config=config, proved=True)["tolerance"] == 0.05


def test_without_a_proved_minimiser_a_table_is_held_to_a_networks_tolerance() -> None:
    row = verdict("nc2_etf", 0.01, config=table())
    assert (row["verdict"], row["tolerance"]) == ("holds", 0.05)


@pytest.mark.parametrize(
    ("residual", "later", "rest", "said"),
    [
        (math.nan, None, "not known", "not reached"),
        (0.2, None, "still moving", "not reached"),
        (0.01, None, "at rest", "fails"),
        (0.01, 0.2, "still moving", "not reached"),
        (math.nan, 0.295, "at rest", "fails"),
        (math.nan, 0.285, "still moving", "not reached"),
    ],
)
def test_what_may_still_move_has_not_failed(residual: float, later: float | None, rest: str, said: str) -> None:
    row = verdict("nc2_etf", 0.3, residual=residual, later=later)
    assert (row["verdict"], row["rest"]) == (said, rest)
    assert row["later"] == pytest.approx(math.nan if later is None else later, nan_ok=True)
    assert verdict("nc2_etf", 0.01, residual=residual, later=later)["verdict"] == "holds"


def test_a_model_that_is_not_trained_is_judged_as_it_is() -> None:
    assert verdict("nc2_etf", 0.3, residual=math.nan, config=network(training={"epochs": 0}))["verdict"] == "fails"


@pytest.mark.parametrize(("risk", "said"), [(0.04, "fails"), (0.5, "not reached")])
def test_a_theorem_on_minimisers_fails_only_at_the_minimum(risk: float, said: str) -> None:
    judged = judge(network(), expected(risk=0.04, nc2_etf=0.0), frame(STILL, risk=risk, nc2_etf=0.3, **RESTS), {})
    assert judged[1]["name"] == "nc2_etf" and judged[1]["verdict"] == said


@pytest.mark.parametrize("proved", [True, False])
def test_a_value_that_is_undefined_because_classes_merged_does_not_hold(proved: bool) -> None:
    row = verdict("isometry_defect", math.nan, proved=proved)
    assert row["verdict"] == ("not reached" if proved else "fails") and math.isnan(row["deviation"])


def test_what_was_not_measured_is_not_judged() -> None:
    rows = frame(STILL, nc2_etf=math.nan, feature_radius=math.nan, **RESTS)
    assert judge(network(), [observed(nc2_etf=0.0)], rows, {})[0]["verdict"] == "not applicable"
    rows = frame(STILL, **RESTS).drop(columns="nc2_etf")
    assert judge(network(), [observed(nc2_etf=0.0)], rows, {})[0]["assumption"] == "it was not measured"


@pytest.mark.parametrize(("predicted", "null"), [(0.0, 1e-16), (1.0, 1 - 1e-15)])
def test_what_cannot_be_false_is_not_judged(predicted: float, null: float) -> None:
    row = verdict("nc2_equidistant", predicted, predicted=predicted, null={"nc2_equidistant": null})
    assert row["verdict"] == "not applicable" and "any class means" in row["assumption"]


def test_an_infinite_measurement_does_not_hold() -> None:
    assert verdict("nc1_pinv", math.inf)["verdict"] == "fails"


def test_a_prediction_that_does_not_apply_says_why() -> None:
    risk = Expectation(values={"risk": math.nan}, assumption="", source="", not_applicable="the head is frozen")
    row, *_ = judge(network(), [risk], frame(STILL, risk=0.5), {})
    assert row["verdict"] == "not applicable" and row["assumption"] == "the head is frozen"
    assert row["measured"] == 0.5 and math.isnan(row["tolerance"]) and math.isnan(row["predicted"])


def test_rows_of_a_table_of_verdicts() -> None:
    both = expected(accuracy=1.0, nc2_etf=0.0, alpha=3.0) + expected(risk=0.5)
    rows = judge(network(), both, frame(STILL, accuracy=1.0, nc2_etf=0.0, risk=0.5), {"nc2_etf": 0.7})
    assert [row["name"] for row in rows] == ["risk", "nc2_etf", "accuracy", *LAW_NAMES]
    assert all(row["verdict"] == "holds" for row in rows[:4])
    assert all(list(row) == list(VERDICT_COLUMNS) for row in rows)
    assert rows[1]["claim"] == CLAIMS["nc2_etf"].sentence and rows[1]["assumption"] == "as assumed"


@pytest.mark.parametrize("config", [network(), network(constraints={"features": None, "head": None}), table()])
def test_every_expectation_of_a_run_can_be_judged(config: Config) -> None:
    found = expectations(config, EQUAL, config.model.widths[-1])
    judged = judge(config, found, frame(STILL), {})
    named = {name for expectation in found for name in expectation.values}
    assert {row["name"] for row in judged} == (named & CLAIMS.keys()) | set(LAW_NAMES)
    assert len(judged) > 10


def test_where_nothing_was_measured_nothing_is_judged() -> None:
    assert judge(network(), expected(risk=0.5), rows_to_frame([]), {}) == []


def law(config: Config, gaps: list[float]) -> Verdict:
    rows = judge(config, [], frame([0.9] * len(gaps), gaps=gaps), {})
    assert [row["name"] for row in rows] == LAW_NAMES
    return rows[0]


@pytest.mark.parametrize(
    ("gaps", "said", "deviation"),
    [
        ([0.3, 0.2], "holds", 0.0),
        ([0.3, 0.0], "holds", 0.0),
        ([-1e-12, 0.2], "holds", -1e-12),
        ([-1e-6, 0.2], "fails", -1e-6),
        ([0.2, math.nan, -3.0, 0.1], "fails", -3.0),
    ],
)
@pytest.mark.parametrize("config", [network(), table(), network(constraints={"features": None, "head": None})])
def test_no_row_may_be_below_the_floor(config: Config, gaps: list[float], said: str, deviation: float) -> None:
    row = law(config, gaps)
    assert (row["verdict"], row["deviation"]) == (said, deviation)
    assert row["measured"] == min(gap for gap in gaps if not math.isnan(gap)) and row["predicted"] == 0
    assert f"({2 * sum(not math.isnan(gap) for gap in gaps)} measurements)" in row["claim"]


def test_one_test_row_below_the_floor_is_enough() -> None:
    rows = frame(STILL)
    rows.loc[rows.index[3], "risk_gap"] = -0.5
    assert rows.loc[rows.index[3], "split"] == "test"
    assert judge(network(), [], rows, {})[0]["verdict"] == "fails"


def test_a_share_above_one_breaks_the_law_where_the_risk_is_too_close_to_log_k_to_show_it() -> None:
    rows = frame(STILL)
    rows.loc[rows.index[3], "simplex_efficiency"] = 1.25
    broken = judge(network(), [], rows, {})[0]
    assert (broken["verdict"], broken["deviation"]) == ("fails", -0.25)


def test_a_broken_law_is_not_excused_by_a_run_that_moves() -> None:
    rows = frame([0.01 * epoch for epoch in range(40)], gaps=[-1.0] * 40)
    assert judge(network(), [], rows, {})[0]["verdict"] == "fails"


def test_the_law_is_about_linear_heads_and_about_numbers() -> None:
    bounded = law(network(constraints={"outputs": {"radius": 2.0}}), [-1.0, 0.2])
    assert bounded["verdict"] == "not applicable" and "bounded" in bounded["assumption"]
    assert law(network(), [math.nan, math.nan])["verdict"] == "not applicable"

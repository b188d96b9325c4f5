from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from made_runs import prediction

from nc_bench import Run
from nc_bench.reports import summary_table
from nc_bench.reports.claim_rows import GROUPS, group_of
from nc_bench.reports.numbers import distinct, number, percent

MakeRun = Callable[..., Run]

finite = st.floats(-1e300, 1e300)


def line_of(table: str, name: str) -> str:
    return next(line for line in table.splitlines() if f"({name}) " in line)


def cells_of(table: str, name: str) -> list[str]:
    """What stands behind the name of a metric."""
    return line_of(table, name).partition(f"({name})")[2].split()


def test_every_claim_has_its_numbers_and_its_verdict(make_run: MakeRun) -> None:
    table = summary_table(make_run())
    assert cells_of(table, "risk") == ["0.04523", "-", "0.0467", "+3.2", "%", "5", "%", "holds", "[1]"]
    assert cells_of(table, "nc2_equiangular")[:-1] == ["0", "0.098", "0.004", "+0.004", "0.049", "holds"]
    assert cells_of(table, "simplex_efficiency")[:-1] == ["1", "-", "0.994", "-0.006", "0.05", "holds"]
    assert cells_of(table, "risk_gap")[:-1] == ["0", "-", "0.001468", "0", "1e-09", "holds"]


def test_groups_stand_in_the_order_of_the_theory(make_run: MakeRun) -> None:
    table = summary_table(make_run())
    shown = [line for line in table.splitlines() if line in GROUPS]
    assert shown == [title for title in GROUPS if not title.startswith(("NC4", "Other"))]
    lines = table.splitlines()
    assert lines.index(line_of(table, "nc1_quotient")) < lines.index(line_of(table, "nc2_equiangular"))


def test_columns_are_aligned_and_fit(make_run: MakeRun) -> None:
    long = "a claim of very many words that goes on and on until it cannot stand in one line of any terminal"
    table = summary_table(
        make_run(predictions=[prediction("risk", 0.0467), prediction("nc1_quotient", 0.3, claim=long)])
    )
    assert max(len(line) for line in table.splitlines()) <= 108
    header = table.splitlines()[0]
    risk, spread = line_of(table, "risk"), next(line for line in table.splitlines() if "any terminal" in line)
    for column, values in {"measured": ("0.0467", "0.3"), "predicted": ("0.04523", "0")}.items():
        end = header.index(column) + len(column)
        for line, value in zip((risk, spread), values, strict=True):
            assert line[:end].endswith(f" {value}")
    assert [line.index(verdict) for line, verdict in ((risk, "holds"), (spread, "fails"))] == [
        header.index("verdict")
    ] * 2


def test_a_deviation_just_beyond_its_tolerance_is_seen_to_be_beyond(make_run: MakeRun) -> None:
    table = summary_table(make_run(predictions=[prediction("nc1_quotient", 0.0500004)]))
    assert cells_of(table, "nc1_quotient")[:4] == ["0", "-", "0.05", "+0.0500004"]
    assert "fails" in table


def test_what_does_not_apply_says_why(make_run: MakeRun) -> None:
    nothing = {"predicted": math.nan, "deviation": math.nan, "tolerance": math.nan, "verdict": "not applicable"}
    claims = [
        prediction("risk", 0.04, **nothing, assumption="the head is frozen", source=""),
        prediction("nc1_quotient", math.nan, deviation=math.nan, verdict="not applicable"),
    ]
    table = summary_table(make_run(predictions=claims, reasons={"nc1_quotient": "class 3 is empty"}))
    assert cells_of(table, "risk") == ["-", "-", "0.04", "-", "-", "not", "applicable", "-"]
    assert "not applicable (risk): the head is frozen." in table
    assert "not applicable (nc1_quotient): class 3 is empty." in table


def test_footnotes_concern_the_run_alone(make_run: MakeRun) -> None:
    assert "null: what random Gaussian" in summary_table(make_run(name="with null"))
    bare = summary_table(make_run(name="bare", predictions=[prediction("risk", 0.0467)]))
    assert "null: what random" not in bare and "not reached" not in bare and "not been completed" not in bare
    unknown = prediction("nc1_quotient", 0.3, verdict="not reached", rest="not known")
    said = summary_table(make_run(name="unknown", predictions=[unknown]))
    assert "not reached: outside" in said and "train --settle compares it with 3 times as many epochs" in said
    twin = [{"later": 0.2, "rest": "still moving"}, {"later": 0.3, "rest": "at rest"}]
    moving, resting = (summary_table(make_run(name=row["rest"], predictions=[unknown | row])) for row in twin)
    change = "nc1_quotient 0.3 -> 0.2 (-0.063 per doubling)"
    assert f"still moving in 3 times as many epochs: {change}." in moving and "at rest" not in moving
    assert "at rest (nc1_quotient): they move by no more than a fifth of the tolerance." in resting
    assert "--settle" not in moving + resting
    stopped = summary_table(make_run(name="stopped", manifest={"status": "interrupted"}))
    assert "This run has not been completed" in stopped


def test_each_source_is_named_once(make_run: MakeRun) -> None:
    claims = [prediction("risk", 0.0467), prediction("nc1_quotient", 0.0), prediction("risk_gap", 0.1, source="A law")]
    table = summary_table(make_run(predictions=claims))
    assert table.count("Cor. 4.2") == 1 and "[2] A law (no bias)." in table
    assert [line_of(table, name)[-3:] for name in ("risk", "nc1_quotient", "risk_gap")] == ["[1]", "[1]", "[2]"]


def test_a_run_that_was_not_judged_has_no_table(make_run: MakeRun) -> None:
    assert summary_table(make_run(predictions=[])) == "No claim has been judged: a run is judged when it ends."


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("nc2_equinorm", "NC2"),
        ("nc2_equinorm_w_centred", "NC3"),
        ("risk_gap", "Law"),
        ("risk_balanced", "Risk"),
        ("bias_offset", "Other"),
    ],
)
def test_names_find_their_group(name: str, title: str) -> None:
    assert group_of(name).startswith(title)


@given(finite, finite)
@example(0.02, 0.020004)
@example(1.0, 1.0 + 2**-52)
@example(0.0, -0.0)
def test_different_numbers_never_read_the_same(value: float, other: float) -> None:
    assert (distinct(value, other) == distinct(other, value)) == (value == other)
    assert math.isclose(float(distinct(value, other)), value, rel_tol=1e-3)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0324, "3.2 %"), (0.05, "5 %"), (3.3, "330 %"), (1e-13, "1e-11 %"), (-0.5, "-50 %"), (math.nan, "-")],
)
def test_percentages(value: float, text: str) -> None:
    assert percent(value) == text


def test_numbers_have_four_digits() -> None:
    assert [number(x) for x in (0.045232488, 0.0467, 1.0, 1e-13, 12345.6, math.nan)] == [
        "0.04523",
        "0.0467",
        "1",
        "1e-13",
        "1.235e+04",
        "-",
    ]


def test_rounding_is_called_rounding(make_run: MakeRun) -> None:
    claims = [
        prediction("risk", 0.045232488355 * (1 + 1.6e-7)),
        prediction("nc2_equiangular", 5.7e-8),
        prediction("nc1_quotient", 1.0e-8),
        prediction("simplex_efficiency", 1 - 4.2e-7),
    ]
    table = summary_table(make_run(predictions=claims))
    assert [cells_of(table, name)[3] for name in ("risk", "nc2_equiangular", "simplex_efficiency")] == ["rounding"] * 3
    assert cells_of(table, "nc1_quotient")[3] == "+1e-08"  # a measure of squares, whose rounding is 1e-14
    assert "rounding: the deviation is no larger than what rounding in float32 leaves." in table


def test_in_float64_less_is_rounding(make_run: MakeRun) -> None:
    near = [prediction("nc2_equiangular", 5.7e-8), prediction("nc1_quotient", 1e-31)]
    table = summary_table(make_run(config={"dtype": "float64"}, predictions=near))
    assert cells_of(table, "nc2_equiangular")[3] == "+5.7e-08" and cells_of(table, "nc1_quotient")[3] == "rounding"


def test_what_breaks_a_claim_is_no_rounding(make_run: MakeRun) -> None:
    broken = prediction("risk_gap", -1.2e-7, deviation=-1.2e-7, verdict="fails")
    table = summary_table(make_run(predictions=[broken]))
    assert cells_of(table, "risk_gap")[3] == "-1.2e-07" and "rounding" not in table

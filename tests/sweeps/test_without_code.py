"""Sweep files that need no code of the package: no study at all, a comparison; and what is refused before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sweep_files import ARMS, STUDY, write_sweep

from nc_bench.config import ConfigError, load_config
from nc_bench.sweep import main
from nc_bench.sweeps.checks import check_study
from nc_bench.sweeps.grid import Grid, load_grid
from nc_bench.sweeps.outcome import answer_page, answered, headline
from nc_bench.sweeps.rehearsal import Measured, made_outcome
from nc_bench.sweeps.studies.evidence import Answer, Verdict

ASKED: dict[str, Any] = {
    "question": "Do random labels collapse less?",
    "answer": "comparison",
    "arguments": {"measure": "nc1_quotient", "expect": "higher", "margin": 0.01},
    "compare": {"against": "trained"},
}


def grid_of(folder: Path, **keys: Any) -> Grid:
    return load_grid(write_sweep(folder, **keys))


def refusal(folder: Path, **keys: Any) -> str:
    path = write_sweep(folder, **keys)
    with pytest.raises(ConfigError) as refused:
        check_study(load_grid(path), path)
    return str(refused.value).removeprefix(f"{path}: ")


def test_a_file_without_a_study_gets_a_table_and_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_sweep(tmp_path, arms={"no bias": {}, 2012: {"settings": {"optimizer.lr": 0.02}}}, seeds=2)
    assert main([str(path), "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    results = tmp_path / "out" / "study"
    lines = capsys.readouterr().out.splitlines()
    assert f"{tmp_path / 'out'}: 4 complete of 4 trials" in lines
    assert f"look at {results}: table.md, table.csv, table.tex, figure.png" in lines
    names = {path.name for path in results.iterdir()}
    assert names == {"table.md", "table.csv", "table.tex", "differences.csv", "figure.png"}
    table = (results / "table.md").read_text()
    assert "| arm | nc1_quotient | nc2_equiangular | simplex_efficiency | test accuracy |" in table
    assert "| no bias |" in table and "| 2012 |" in table and "Difference from no bias" in table


@pytest.mark.parametrize(
    ("keys", "kind", "x", "rows"),
    [
        ({"seeds": 2}, "curves", None, ()),
        ({"axes": {"optimizer.lr": [0.01, 0.02]}}, "curves", None, ("optimizer.lr",)),
        ({"axes": {"optimizer.lr": [n / 100 for n in range(1, 10)]}}, "lines", "optimizer.lr", ("optimizer.lr",)),
        ({"arms": ARMS, "study": {"measures": {"risk": {"metric": "risk"}}}}, "curves", None, ("arm",)),
    ],
)
def test_what_is_not_said_follows_from_the_grid(
    keys: dict[str, Any], kind: str, x: str | None, rows: tuple[str, ...], tmp_path: Path
) -> None:
    grid = grid_of(tmp_path, **keys)
    check_study(grid, tmp_path)
    assert (grid.study.drawn.kind, grid.study.drawn.x, grid.study.rows) == (kind, x, rows)
    assert set(grid.study.drawn.measures) == set(grid.study.measures)


def constant(**by_arm: float) -> Measured:
    return lambda cell, epoch: {"nc1_quotient": by_arm[cell["arm"].replace(" ", "_")]}


@pytest.mark.parametrize(
    ("arguments", "fixed", "verdict"),
    [
        ({"expect": "higher", "margin": 0.01}, 0.3, "supported"),
        ({"expect": "higher"}, 0.1, "refuted"),
        ({"expect": "lower"}, 0.1, "supported"),
        ({"expect": "lower", "margin": 0.2}, 0.1, "refuted"),
        ({"expect": "equal", "margin": 0.2}, 0.3, "supported"),
        ({"expect": "equal", "margin": 0.01}, 0.3, "refuted"),
        ({"expect": "higher", "margin": 0.1}, 0.3, "undecided"),
    ],
)
def test_a_comparison_decides_by_intervals(
    arguments: dict[str, Any], fixed: float, verdict: str, tmp_path: Path
) -> None:
    study = {**ASKED, "arguments": {"measure": "nc1_quotient", **arguments}}
    grid = grid_of(tmp_path, arms=ARMS, seeds=10, study=study)
    check_study(grid, tmp_path)
    outcome = made_outcome(grid, constant(trained=0.2, fixed_simplex=fixed))
    answer = answered(outcome)
    assert isinstance(answer, Answer) and answer.verdict is Verdict(verdict), answer
    said = headline(answer)
    assert "nc1_quotient" in said and "under trained" in said.replace("to that of", "under") and "n = 10." in said
    page = answer_page(outcome, answer, "command")
    assert page.startswith("# Do random labels collapse less?\n") and "None" not in page and "Limits" not in page


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"arguments": {**ASKED["arguments"], "measure": "nc1_quotent"}},
            "study.arguments.measure: nc1_quotent given; did you mean",
        ),
        (
            {"arguments": {**ASKED["arguments"], "expect": "higer"}},
            "study.arguments.expect: higer given; did you mean 'h",
        ),
        (
            {"arguments": {**ASKED["arguments"], "margn": 1}},
            "study.arguments.margn: comparison has no such argument; did",
        ),
        ({"arguments": {"measure": "nc1_quotient", "expect": "equal"}}, "study.arguments.margin: missing; no two"),
        ({"arguments": {}}, "study.arguments.measure: null given; there are nc1_quotient, "),
        ({"compare": None}, "study.compare: missing; answer: comparison needs to know what is compared with what"),
        ({"question": None}, "study.question: missing (What is asked, in one plain sentence); an answer needs it said"),
        ({"answer": "comparisn"}, "study.answer: comparisn given; did you mean 'comparison'?"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused(changes: dict[str, Any], problem: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, arms=ARMS, study={**ASKED, **changes}).startswith(problem)


def test_a_comparison_with_nothing_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, arms={"trained": {}}, study=ASKED)
    assert said == "study.compare: nothing is compared with trained: arm has no other value"


@pytest.mark.parametrize(
    ("arms", "changes", "problem"),
    [
        ({"trained": {}, "frozen": {"settings": {"data.labels": "random"}}}, {}, "answer: needs "),
        (ARMS, {"measures": {"nc1_quotient": {"metric": "nc1_quotient"}}}, "answer: needs simplex_efficiency at arm: "),
        (ARMS, {"answer": "depth"}, "answer: depth does not fit this grid: "),
        (
            ARMS,
            {"answer": "random_labels"},
            "answer: random_labels needs 'epochs', which is no measure of the study and",
        ),
        (
            ARMS,
            {"hypothesis": None},
            "hypothesis: missing (The answer that is put to the test); an answer needs it said",
        ),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_before_any_training(
    arms: dict[str, Any], changes: dict[str, Any], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_sweep(tmp_path, arms=arms, study={**STUDY, **changes})
    assert main([str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{path}: study.{problem}") and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_base_may_be_shipped(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text("base: digits_ball\n")
    assert load_grid(path).base == load_config("digits_ball")
    path.write_text("base: digits_bal\n")
    with pytest.raises(ConfigError, match="neither a file nor a shipped configuration; did you mean 'digits_ball'"):
        load_grid(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{no: {}}", "no is read as false by some and as text by others; write false, or 'no' for text"),
        ("{true: {}}", "arms: true is the name of an arm; write it in quotes"),
        ("{2012: {}, '2012': {}}", "arms: two arms are called 2012"),
    ],
)
def test_names_of_arms_that_yaml_reads_as_something_else(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(f"base: digits.yaml\narms: {text}\n")
    with pytest.raises(ConfigError) as refused:
        load_grid(path)
    assert problem in str(refused.value) and "\n" not in str(refused.value)


def test_a_year_is_the_name_of_an_arm_and_what_is_compared_with(tmp_path: Path) -> None:
    arms = {2012: {}, 2021: {"settings": {"optimizer.lr": 0.02}}}
    grid = grid_of(tmp_path, arms=arms, study={**ASKED, "compare": {"against": 2012}})
    check_study(grid, tmp_path)
    assert [point.cell["arm"] for point in grid.points] == ["2012", "2021"]
    assert grid.study.compare is not None and grid.study.compare.against == "2012"

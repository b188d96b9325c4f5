"""The studies in `configs/studies/`: each says what it is, fits its grid, and answers from numbers that it is given."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.legend import Legend
from study_cases import CASES, FILES, FOLDER, grid_of, made_outcome

from nc_bench.studies import main as studies
from nc_bench.sweeps.checks import check_study
from nc_bench.sweeps.figures import study_figure
from nc_bench.sweeps.outcome import answer_page, answered, headline
from nc_bench.sweeps.rehearsal import Measured
from nc_bench.sweeps.studies import ANSWERS
from nc_bench.sweeps.studies.evidence import MAX_WORDS, Answer, Verdict
from nc_bench.verdicts.rest import AT_REST, MOVING


def answer_of(path: Path) -> str:
    """The rule that a study's file names."""
    study = grid_of(path).sweep.study
    assert study is not None and study.answer is not None
    return study.answer


def test_every_question_of_the_catalogue_has_its_study() -> None:
    assert {answer_of(path) for path in FILES} == set(ANSWERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_study_fits_its_grid_and_opens_with_what_it_is(path: Path) -> None:
    check_study(grid_of(path), path)
    opening = [line for line in path.read_text().splitlines() if line.startswith("#")]
    for word in ("# Question: ", "# Shows: ", "# Source: ", "# Command: ", "# Expected: "):
        assert sum(line.startswith(word) for line in opening) == 1, word
    assert f"# Command: python -m nc_bench.sweep --config configs/studies/{path.name}" in opening
    few = path.stem.startswith("optimisers") or path.stem.endswith("_resnet")
    least = 3 if few else 5 if path.stem.endswith("_mnist") else 10
    assert len(grid_of(path).sweep.seed_list) >= least
    study = grid_of(path).sweep.study
    assert study is not None and study.rule is not None and "upported if" in study.rule and "efuted if" in study.rule


def test_every_rule_is_tried_on_both_sides_of_its_border() -> None:
    assert set(CASES) == set(ANSWERS)
    for cases in CASES.values():
        assert {"supported", "refuted"} <= set(cases)


@pytest.mark.parametrize(
    ("name", "verdict", "measured"),
    [
        pytest.param(name, verdict, measured, id=f"{name}-{verdict}-{number}")
        for name, cases in CASES.items()
        for verdict, several in cases.items()
        for number, measured in enumerate(several)
    ],
)
def test_a_rule_decides_by_the_numbers(name: str, verdict: str, measured: Measured) -> None:
    path = next(path for path in FILES if answer_of(path) == name)
    answer = answered(made_outcome(path, measured))
    assert isinstance(answer, Answer) and answer.verdict == verdict, answer


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_page_opens_with_a_headline_then_a_table_then_limits(path: Path) -> None:
    first = next(iter(CASES[answer_of(path)]["supported"]))
    outcome = made_outcome(path, first)
    answer = answered(outcome)
    assert isinstance(answer, Answer)
    said = headline(answer)
    assert len(said.split()) <= MAX_WORDS and said.endswith(".") and "nan" not in said
    assert re.search(r"n = \d+", said) and re.search(r"\[-?[0-9.e-]+, -?[0-9.e-]+\]", said), said
    lines = [line for line in answer_page(outcome, answer, "command").splitlines() if line]
    table = [line.startswith("|") for line in lines]
    assert lines[0].startswith("# ") and lines[1].startswith("**") and table[2] and len(answer.rows) + 2 == sum(table)
    assert lines[2 + sum(table)].startswith("Limits: ") and len(answer.rows) > 0
    if path.stem != "optimisers":
        page = study_figure(outcome.study, outcome.runs, outcome.curves)
        page.draw_without_rendering()
        for legend in page.findobj(Legend):
            box = legend.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= page.bbox.width


@pytest.mark.parametrize(
    ("name", "measure", "cell"),
    [
        ("capacity", "risk_balanced", {"width": 64, "ratio": 100}),
        ("depth", "simplex_efficiency", {"arm": "frozen, ball"}),
        ("random_labels_resnet", "nc1_quotient", {"arm": "random labels"}),
    ],
)
def test_what_still_moves_in_a_longer_twin_refutes_nothing(name: str, measure: str, cell: dict[str, object]) -> None:
    outcome = made_outcome(FOLDER / f"{name}.yaml", CASES[name]["refuted"][-1])
    for rest, verdict in ((AT_REST, "refuted"), (MOVING, "undecided")):
        twins = outcome.settled.copy()
        own = (twins[list(cell)] == list(cell.values())).all(axis=1) & (twins["measure"] == measure)
        assert own.any()
        twins.loc[own, "rest"] = rest
        answer = answered(replace(outcome, settled=twins))
        assert isinstance(answer, Answer) and answer.verdict == verdict


def test_a_headline_has_thirty_words_at_most() -> None:
    word = "word "
    Answer(verdict=Verdict.SUPPORTED, header=(), rows=(), headline=word * (MAX_WORDS - 1))
    with pytest.raises(AssertionError, match="more than 30 words"):
        Answer(verdict=Verdict.SUPPORTED, header=(), rows=(), headline=word * MAX_WORDS)


def test_lines_have_a_colour_for_one_column_and_dashes_for_the_others() -> None:
    outcome = made_outcome(FOLDER / "random_labels.yaml")
    page = study_figure(outcome.study, outcome.runs, outcome.curves)
    lines = {str(line.get_label()): line for line in page.findobj(Axes)[0].lines}
    assert len(lines) == 9 and list(lines)[:2] == ["true labels, width: 32", "true labels, width: 64"]
    looks = {name: (to_hex(line.get_color()), line.get_linestyle()) for name, line in lines.items()}
    assert len(set(looks.values())) == 9 and len({colour for colour, _ in looks.values()}) == 3
    assert looks["random data, width: 32"][0] == looks["random data, width: 64"][0]
    assert looks["random data, width: 64"][1] == looks["true labels, width: 64"][1]
    (legend,) = page.findobj(Legend)
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["true labels", "random labels", "random data", "width: 32", "width: 64", "width: 128"]


def test_what_a_logarithmic_axis_cannot_show_does_not_stretch_the_other() -> None:
    outcome = made_outcome(FOLDER / "fixed_head.yaml")
    start = outcome.curves.drop_duplicates(["arm", "seed"]).assign(epoch=0, simplex_efficiency=-50.0)
    page = study_figure(outcome.study, outcome.runs, pd.concat([start, outcome.curves]))
    axes = next(axes for axes in page.findobj(Axes) if axes.get_title("left") == "simplex_efficiency")
    assert axes.get_xscale() == "log" and axes.get_ylim()[0] > -1


def test_the_optimiser_grid_is_as_large_as_the_published_one() -> None:
    assert len(grid_of(FOLDER / "optimisers.yaml").trials) >= 3888


@pytest.mark.parametrize("name", sorted(ANSWERS))
@pytest.mark.parametrize("place", [0, -1])
def test_a_cell_whose_runs_all_diverged_supports_nothing(name: str, place: int) -> None:
    outcome = made_outcome(next(path for path in FILES if path.stem.removesuffix("_mnist") == name))
    study = outcome.study
    lost = (outcome.runs[list(outcome.columns)] == outcome.runs[list(outcome.columns)].iloc[place]).all(axis=1)
    outcome.runs.loc[lost, "state"] = "diverged"
    outcome.runs.loc[lost, list(study.measures)] = float("nan")
    gone = outcome.curves.set_index([*outcome.columns, "seed"]).index.isin(
        outcome.runs[lost].set_index([*outcome.columns, "seed"]).index
    )
    outcome.curves.loc[gone, list(study.measures)] = float("nan")
    answer = answered(outcome)
    assert isinstance(answer, str) or answer.verdict is not Verdict.SUPPORTED
    assert answer_page(outcome, answer, "command")


def test_runs_that_are_missing_are_no_answer() -> None:
    outcome = made_outcome(FOLDER / "fixed_head.yaml")
    outcome.runs.loc[:2, "state"] = ["failed", "pending", "pending"]
    assert answered(outcome) == "No answer: 3 of 20 runs have not finished (1 failed, 2 pending)."


def test_the_threshold_of_minority_collapse_is_the_theorys() -> None:
    """With weights r and 1, shares of the loss are those of class sizes r and 1: at the threshold p^2 = n lw lh."""
    answer = answered(made_outcome(FOLDER / "class_weights.yaml", CASES["class_weights"]["supported"][0]))
    assert "predicted 29.9:1" in headline(answer)
    assert pytest.approx(140 * 5e-3 * 6e-5, rel=1e-3) == (1 / (5 * (29.86 + 1))) ** 2


def test_an_answer_that_needs_what_the_grid_has_not_says_so() -> None:
    outcome = made_outcome(FOLDER / "fixed_head.yaml")
    only = replace(outcome, runs=outcome.runs[outcome.runs["arm"] == "trained"])
    with pytest.raises(ValueError, match=r"^study.answer: needs simplex_efficiency at arm: fixed simplex, of which"):
        answered(only)


def test_studies_are_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert studies([str(FOLDER)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 3 * len(FILES) and lines[0] == str(FILES[0])
    assert studies([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"{tmp_path}: holds no study\n"

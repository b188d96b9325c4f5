"""The studies in `configs/studies/`: each says what it is, fits its grid, and answers from numbers that it is given."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.legend import Legend

from nc_bench.studies import main as studies
from nc_bench.sweeps.checks import check_study
from nc_bench.sweeps.figures import study_figure
from nc_bench.sweeps.grid import Grid, load_grid
from nc_bench.sweeps.outcome import Outcome, answer_text
from nc_bench.sweeps.studies import ANSWERS

FOLDER = Path(__file__).parents[2] / "configs" / "studies"
FILES = sorted(FOLDER.glob("*.yaml"))
LOADED: dict[Path, Grid] = {}


def grid_of(path: Path) -> Grid:
    if path not in LOADED:
        LOADED[path] = load_grid(path)
    return LOADED[path]


def made_outcome(path: Path, **values: float) -> Outcome:
    """The outcome of a study whose runs all measured the same, up to a little luck, except for what is given."""
    grid = grid_of(path)
    study = grid.sweep.study
    assert study is not None
    random = np.random.default_rng(0)
    rows = []
    for point in grid.points:
        measured = {name: values.get(name, 0.96) * (1 + 1e-3 * random.random()) for name in study.measures}
        cell = {column: point.cell.get(column, "") for column in grid.columns}
        rows.append({**cell, "seed": point.seed, "trial": point.id, "state": "complete", "converged": True, **measured})
    runs = pd.DataFrame(rows)
    curves = pd.concat([runs.assign(epoch=epoch) for epoch in (1, 10, 100)])
    return Outcome(
        study=study,
        runs=runs,
        curves=curves,
        columns=grid.columns,
        configs=grid.trials,
        manifest={"samples": {"train": 1400}},
    )


def test_every_question_of_the_catalogue_has_its_study() -> None:
    assert {path.stem.removesuffix("_mnist") for path in FILES} == set(ANSWERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_study_fits_its_grid_and_opens_with_what_it_is(path: Path) -> None:
    check_study(grid_of(path), path)
    opening = [line for line in path.read_text().splitlines() if line.startswith("#")]
    for word in ("# Question: ", "# Shows: ", "# Source: ", "# Command: ", "# Expected: "):
        assert sum(line.startswith(word) for line in opening) == 1, word
    assert f"# Command: python -m nc_bench.sweep --config configs/studies/{path.name}" in opening
    assert len(grid_of(path).sweep.seed_list) >= 3 or path.stem.endswith("_mnist")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_study_answers_in_one_sentence_and_draws(path: Path) -> None:
    outcome = made_outcome(path)
    answer = answer_text(outcome)
    assert (
        re.search(r" (1 seed|[2-9] seeds)\.$", answer)
        and "\n" not in answer
        and "nan" not in answer
        and answer[0].isupper()
    )
    assert "0.96" in answer
    if path.stem != "optimisers":
        page = study_figure(outcome.study, outcome.runs, outcome.curves)
        page.draw_without_rendering()
        for legend in page.findobj(Legend):
            box = legend.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= page.bbox.width


def test_lines_have_a_colour_for_one_column_and_dashes_for_the_other() -> None:
    outcome = made_outcome(FOLDER / "activations.yaml")
    page = study_figure(outcome.study, outcome.runs, outcome.curves)
    lines = {str(line.get_label()): line for line in page.findobj(Axes)[0].lines}
    assert len(lines) == 12 and list(lines)[:2] == ["relu, final: false", "relu, final: true"]
    looks = {name: (to_hex(line.get_color()), line.get_linestyle()) for name, line in lines.items()}
    assert len(set(looks.values())) == 12 and len({colour for colour, _ in looks.values()}) == 6
    assert looks["gelu, final: false"][0] == looks["gelu, final: true"][0]
    assert looks["gelu, final: true"][1] == looks["tanh, final: true"][1]
    (legend,) = page.findobj(Legend)
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["relu", "leaky_relu", "gelu", "tanh", "sigmoid", "hard_tanh", "final: false", "final: true"]


def test_what_a_logarithmic_axis_cannot_show_does_not_stretch_the_other() -> None:
    outcome = made_outcome(FOLDER / "activations.yaml")
    start = outcome.curves.drop_duplicates(["trial"]).assign(epoch=0, simplex_efficiency=-50.0)
    page = study_figure(outcome.study, outcome.runs, pd.concat([start, outcome.curves]))
    axes = next(axes for axes in page.findobj(Axes) if axes.get_title("left") == "simplex_efficiency")
    assert axes.get_xscale() == "log" and axes.get_ylim()[0] > -1


def test_the_optimiser_grid_is_as_large_as_the_published_one() -> None:
    assert len(grid_of(FOLDER / "optimisers.yaml").trials) >= 3888


@pytest.mark.parametrize("study", ["random_labels", "fixed_head"])
def test_runs_that_have_not_converged_are_no_answer(study: str) -> None:
    outcome = made_outcome(FOLDER / f"{study}.yaml")
    arm = outcome.runs["arm"].iloc[-1]
    outcome.runs.loc[outcome.runs["arm"] == arm, "converged"] = False
    seeds = outcome.runs["seed"].nunique()
    assert answer_text(outcome) == (
        f"No answer: {seeds} of the {len(outcome.runs)} runs compared have not converged ({seeds} of {arm}); "
        "the table shows what they had reached."
    )


def test_runs_that_are_missing_are_no_answer() -> None:
    outcome = made_outcome(FOLDER / "fixed_head.yaml")
    outcome.runs.loc[:2, "state"] = ["failed", "pending", "pending"]
    assert answer_text(outcome) == "No answer: 3 of 10 runs have not finished (1 failed, 2 pending)."


def test_the_answer_follows_the_numbers() -> None:
    outcome = made_outcome(FOLDER / "random_labels.yaml")
    random = outcome.runs["arm"] == "random labels"
    outcome.runs.loc[random, "simplex_efficiency"] -= 0.5
    assert answer_text(outcome).startswith("Random labels collapse less than true labels (difference -0.5")
    fixed = made_outcome(FOLDER / "fixed_head.yaml")
    fixed.runs.loc[fixed.runs["arm"] == "fixed simplex", "collapse epoch"] *= 0.5
    assert answer_text(fixed).startswith("A head fixed at a simplex collapses sooner (0.48")


def test_the_threshold_of_minority_collapse_is_the_theorys() -> None:
    """With weights r and 1, shares of the loss are those of class sizes r and 1: at the threshold p^2 = n lw lh."""
    answer = answer_text(made_outcome(FOLDER / "class_weights.yaml"))
    assert "threshold is 29.9:1" in answer
    assert pytest.approx(140 * 5e-3 * 6e-5, rel=1e-3) == (1 / (5 * (29.86 + 1))) ** 2


def made_optimisers(*, converged: bool) -> Outcome:
    """Twelve settings of AdamW are better than all others, and their NC3 is not."""
    outcome = made_outcome(FOLDER / "optimisers.yaml", nc3_duality_centred=0.1)
    runs = outcome.runs
    chosen = (runs["arm"] == "AdamW") & (runs["lr"] == 1e-3) & runs["decay"].isin([0.1, 0.3])
    runs.loc[chosen, ["test accuracy", "nc3_duality_centred"]] = 0.99, 0.5
    runs.loc[chosen, "converged"] = converged
    return outcome


def test_best_settings_are_compared() -> None:
    outcome = made_optimisers(converged=True)
    assert len(outcome.selected[outcome.selected["arm"] == "AdamW"]) == 10 * 3
    answer = answer_text(outcome)
    assert "coupled decay) with none over the 10 converged settings" in answer
    assert "with none over the 10 best whether converged or not; centred, " in answer
    assert "softmax sees, with AdamW and with AdamW (" in answer
    shown = r"\(0\.5\)"
    assert len(re.findall(rf"AdamW [0-9.]+ ± [0-9.]+ {shown}", answer)) == 2 and len(re.findall(shown, answer)) == 2


def test_best_settings_that_have_not_converged_are_told_apart() -> None:
    assert "softmax sees, with none and with AdamW (" in answer_text(made_optimisers(converged=False))


def test_an_answer_that_needs_what_the_grid_has_not_says_so() -> None:
    outcome = made_outcome(FOLDER / "fixed_head.yaml")
    only = replace(outcome, runs=outcome.runs[outcome.runs["arm"] == "trained"])
    with pytest.raises(ValueError, match=r"^study.answer: needs collapse epoch at arm: fixed simplex, of which"):
        answer_text(only)


def test_studies_are_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert studies([str(FOLDER)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 3 * len(FILES) and lines[0] == str(FILES[0])
    assert studies([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"{tmp_path}: holds no study\n"

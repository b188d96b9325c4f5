"""Where the norm budget goes: the shares, the sentence, the figure and the page."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from nc_bench import Run
from nc_bench.reports import sentence, write_figures
from nc_bench.reports.budget import SHORT, WORDS, budget_sentence, missing
from nc_bench.reports.budget_areas import budget_areas
from nc_bench.reports.page import write_page
from nc_bench.reports.style import SIX
from nc_bench.verdicts.laws import PARTS

MakeRun = Callable[..., Run]


def parts(total: float = 0.06, **shares: float) -> dict[str, float]:
    """Final values of the budget: the efficiencies of these shares of `total` missing in all, gaps a tenth of that."""
    found = {f"efficiency_{part}": (1 - total) ** shares.get(part, 0.0) for part in PARTS}
    found |= {f"gap_{part}": 0.1 * total * shares.get(part, 0.0) for part in PARTS}
    return {**found, "simplex_efficiency": 1 - total, "risk_gap": 0.1 * total}


def ended(make_run: MakeRun, last: dict[str, float], **changes: Any) -> Run:
    """A run whose training rows all hold these values."""
    run = make_run(last=last, test=last, **changes)
    rows = run.rows.copy()
    rows[list(last)] = list(last.values())
    return replace(run, rows=rows)


def test_every_part_has_its_words() -> None:
    assert tuple(WORDS) == tuple(SHORT) == PARTS and len(SIX) == len(PARTS)


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        (
            {"norm": 2 / 3, "within": 1 / 3},
            "Of the 6 % that is missing, two thirds are short class means and one third spread within classes; the "
            "head lacks nothing.",
        ),
        (
            {"isometry": 0.46, "pairs": 0.17, "norm": 0.17, "within": 0.14, "simplex": 0.06},
            "Of the 6 % that is missing, 46 % is a head that stretches the class means unevenly, 17 % unequal margins "
            "between classes, 17 % short class means, 14 % spread within classes and 6 % class means that are no "
            "regular simplex.",
        ),
        ({"within": 1.0}, "Of the 6 % that is missing, all is spread within classes; the head lacks nothing."),
        ({"norm": 1.0}, "Of the 6 % that is missing, all is short class means; the head lacks nothing."),
        (
            {"alignment": 0.949, "pairs": 0.017, "within": 0.017, "norm": 0.017},
            "Of the 6 % that is missing, 95 % is a head that does not point along the class means and 5 % the rest.",
        ),
    ],
)
def test_what_is_missing_is_said_in_parts(make_run: MakeRun, shares: dict[str, float], said: str) -> None:
    run = ended(make_run, parts(**shares))
    assert budget_sentence(run, "train") == said and said in sentence(run)
    assert budget_sentence(run, "test") == said.replace("missing,", "missing on the test samples,")


@pytest.mark.parametrize(
    ("dtype", "total"), [("float32", 0.0), ("float32", 5e-7), ("float64", 0.0), ("float64", 5e-13)]
)
def test_rounding_is_not_split(make_run: MakeRun, dtype: str, total: float) -> None:
    run = ended(make_run, parts(total, norm=0.7, within=0.3), config={"dtype": dtype})
    assert budget_sentence(run, "train") == "Nothing is missing, up to rounding."
    assert np.isnan(missing(run, "train").shares).all() and budget_areas(run) is None


def test_little_is_split_in_double_precision(make_run: MakeRun) -> None:
    run = ended(make_run, parts(2e-9, norm=0.75, within=0.25), config={"dtype": "float64"})
    assert budget_sentence(run, "train").startswith(
        "Of the 2e-09 that is missing, three quarters are short class means"
    )


def test_efficiencies_beyond_one_by_rounding_lack_nothing(make_run: MakeRun) -> None:
    values = parts(0.1, norm=1.0) | {"efficiency_pairs": 1 + 1e-7, "efficiency_alignment": 1 + 1e-9}
    assert missing(ended(make_run, values), "train").shares[-1].tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("within", [-0.2, 0.0, math.nan])
def test_without_positive_efficiencies_the_risk_is_split(make_run: MakeRun, within: float) -> None:
    values = parts(0.9, within=0.9, norm=0.1) | {"efficiency_within": within, "risk_gap": 0.412}
    run = ended(make_run, values)
    assert missing(run, "train").in_nats.all()
    assert budget_sentence(run, "train") == (
        "Of the 0.41 nats by which the risk is above its floor (not every part has a positive efficiency), 90 % is "
        "spread within classes and 10 % short class means; the head lacks nothing."
    )
    gone = ended(make_run, values | {"gap_pairs": math.nan}, name="without gaps")
    assert budget_sentence(gone, "train") == "" and budget_areas(gone) is None


def test_a_run_that_recorded_no_budget_says_nothing_of_it(make_run: MakeRun) -> None:
    run = make_run()
    assert budget_sentence(run, "train") == "" and budget_areas(run) is None
    assert "norm budget goes" not in write_page(run).read_text()
    assert budget_areas(make_run(name="empty", recorded=False)) is None


def test_the_areas_are_the_rows(make_run: MakeRun) -> None:
    last = parts(0.2, within=0.5, norm=0.3, pairs=0.2)
    run = make_run(last=last, test=last | {"efficiency_norm": 0.6})
    figure = budget_areas(run)
    assert figure is not None
    FigureCanvasAgg(figure).draw()
    totals, of_test, areas, of_test_areas = figure.axes
    for split, total, stack in (("train", totals, areas), ("test", of_test, of_test_areas)):
        rows = run.rows[run.rows["split"] == split]
        logarithms = -np.log(rows[[f"efficiency_{part}" for part in PARTS]].to_numpy())
        assert total.lines[0].get_ydata() == pytest.approx(logarithms.sum(1), rel=1e-12)
        shares = 100 * logarithms / logarithms.sum(1, keepdims=True)
        heights = {np.round(path.vertices[:, 1].max(), 6) for area in stack.collections for path in area.get_paths()}
        assert heights == {np.round(top, 6) for top in np.cumsum(shares, 1).max(0)}
        assert next(text.get_text().split("  ")[0] for text in stack.texts) == f"{shares[-1, 0]:.0f} %"
        places = [text.get_position()[1] for text in stack.texts]
        assert (np.diff(places) > 0.13).all() and places[0] > 0 and places[-1] < 1
        assert stack.get_ylim() == (0, 100)


def test_epochs_in_nats_are_faded_and_explained(make_run: MakeRun) -> None:
    run = ended(make_run, parts(0.2, within=0.5, norm=0.5))
    rows = run.rows.copy()
    rows.loc[(rows["epoch"] < 10) & (rows["split"] == "train"), "efficiency_within"] = -1.0
    figure = budget_areas(replace(run, rows=rows))
    assert figure is not None
    opacities = [[area.get_alpha() for area in axes.collections if area.get_paths()] for axes in figure.axes[2:]]
    assert opacities == [[1.0] * 6 + [0.45] * 6, [1.0] * 6]
    assert "Faded" in figure.subfigs[-1].texts[0].get_text()
    assert "Faded" not in budget_areas(run).subfigs[-1].texts[0].get_text()


@pytest.mark.parametrize("value", [0.0, -1e308, 1e-300, 1.7e308, math.inf, math.nan])
def test_no_value_makes_the_figure_warn_or_fail(make_run: MakeRun, value: float) -> None:
    run = make_run(
        last=parts(0.2, within=0.5, norm=0.5), test=parts(0.2, within=1.0), config={"record": {"every": "log"}}
    )
    rows = run.rows.copy()
    rows.loc[rows.index[::3], [f"{kind}_{part}" for kind in ("efficiency", "gap") for part in PARTS]] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for some in (rows, rows[rows["epoch"] == 1].assign(epoch=0), rows.iloc[:1]):
            figure = budget_areas(replace(run, rows=some))
            if figure is not None:
                FigureCanvasAgg(figure).draw()
            budget_sentence(replace(run, rows=some), "train")


def test_the_page_and_the_folder_have_it(make_run: MakeRun) -> None:
    run = ended(make_run, parts(0.06, norm=2 / 3, within=1 / 3))
    figures = write_figures(run)
    assert [path.name for path in figures] == ["metric_curves.png", "budget.png"]
    page = write_page(run).read_text()
    assert "<h2>Where the norm budget goes</h2>" in page and page.count("two thirds are short class means") == 3
    assert "missing on the test samples, two thirds" in page
    assert "<td>0.9596</td><td>66.7 %</td><td>0.004</td>" in page

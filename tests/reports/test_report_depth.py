"""The figure over depth: every recorded layer in its place, beside random directions of its width."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from nc_bench import Run, load_run
from nc_bench.reports import depth_profile, write_figures, write_page

MakeRun = Callable[..., Run]
NAMES = ("nc1_quotient", "nc1_cdnv", "nc2_equiangular", "nc2_equinorm", "ncc_accuracy")
LAYERS = {"layer1": 0.9, "layer2": 0.3}
NULLS = {"layer1": 0.05, "layer2": 0.08, "penultimate": 0.1}


def deepen(run: Run, layers: Mapping[str, float] = LAYERS) -> Run:
    """The same run with these layers recorded too, all of whose metrics have one value each."""
    path = run.path / "metrics.jsonl"
    lines = []
    for line in path.read_text().splitlines():
        row: dict[str, Any] = json.loads(line)
        place = {key: row[key] for key in ("epoch", "step", "split")}
        lines.append(row)
        for name, value in layers.items():
            shown = None if math.isnan(value) else value
            lines.append(place | {"layer": name, **dict.fromkeys(NAMES, shown), "seconds": 1.0, "reasons": {}})
    path.write_text("".join(json.dumps(row) + "\n" for row in lines))
    return load_run(run.path)


def nulls() -> dict[str, Any]:
    names = ("nc2_equiangular", "nc2_equinorm")
    return {"layers": {layer: {"width": 8, "null": dict.fromkeys(names, value)} for layer, value in NULLS.items()}}


def test_layers_stand_in_their_order_with_their_last_values(make_run: MakeRun) -> None:
    run = deepen(make_run(manifest=nulls()))
    figure = depth_profile(run)
    assert figure is not None
    FigureCanvasAgg(figure).draw()
    points, simplex, shares = figure.axes
    last = run.rows[(run.rows["layer"] == "penultimate") & (run.rows["split"] == "train")].iloc[-1]
    for axes, names in ((points, NAMES[:2]), (simplex, NAMES[2:4]), (shares, NAMES[4:])):
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["layer1", "layer2", "penultimate"]
        solid = [line for line in axes.lines if line.get_linestyle() == "-"]
        for line, name in zip(solid, names, strict=True):
            assert np.array_equal(line.get_ydata(), [0.9, 0.3, last[name]])
        assert len([line for line in axes.lines if line.get_linestyle() == "--"]) == len(names)
    dotted = [line for line in simplex.lines if line.get_linestyle() == ":"]
    assert len(dotted) == 2 and all(np.array_equal(line.get_ydata(), list(NULLS.values())) for line in dotted)


def test_columns_of_depth_have_panels_and_the_law_a_sentence(make_run: MakeRun) -> None:
    run = deepen(make_run(manifest=nulls()))
    path = run.path / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row |= {"next_weight_angle_mean": 0.2, "next_weight_angle_largest": 0.4}
        if row["layer"] == "penultimate":
            row |= {"equi_separation_slope": math.log(0.25), "equi_separation_correlation": -0.98}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    figure = depth_profile(load_run(run.path))
    assert figure is not None
    FigureCanvasAgg(figure).draw()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title[0] for title in titles if title] == ["a", "b", "c", "d", "e"]
    assert "next weight" in titles[4]
    text = " ".join(text.get_text() for part in figure.subfigs for text in part.texts).replace("\n", " ")
    assert "is multiplied by 0.25 on average" in text and "Pearson r -0.98" in text


def test_a_run_with_one_layer_has_no_such_figure_and_an_old_one_goes(make_run: MakeRun) -> None:
    run = make_run()
    assert depth_profile(run) is None
    stale = run.path / "figures" / "depth.png"
    stale.parent.mkdir()
    stale.touch()
    assert stale not in write_figures(run) and not stale.exists()


def test_the_page_shows_it(make_run: MakeRun) -> None:
    run = deepen(make_run())
    figures = write_figures(run)
    assert [path.stem for path in figures] == ["metric_curves", "depth"]
    page = write_page(run).read_text()
    assert "<h2>Layer by layer</h2>" in page and '"layers":["layer1"' in page


@pytest.mark.parametrize("values", [{"layer1": math.nan}, {"layer1": 0.0}, {f"a{i}.b": 0.5 for i in range(12)}])
def test_undefined_zero_and_many_layers_are_drawn_without_complaint(
    make_run: MakeRun, values: Mapping[str, float]
) -> None:
    figure = depth_profile(deepen(make_run(), values))
    assert figure is not None
    FigureCanvasAgg(figure).draw()
    assert len(figure.axes[0].get_xticklabels()) == len(values) + 1


def test_the_other_figure_and_the_table_do_not_see_the_inner_layers(make_run: MakeRun) -> None:
    from nc_bench.reports import metric_curves, summary_table

    plain, deep = make_run(name="plain"), deepen(make_run(name="deep"))
    for one, other in zip(metric_curves(plain).axes, metric_curves(deep).axes, strict=True):
        for mine, theirs in zip(one.lines, other.lines, strict=True):
            assert np.array_equal(mine.get_xydata(), theirs.get_xydata())
    assert summary_table(plain) == summary_table(deep)


def test_layers_of_any_name_are_drawn_without_a_warning(make_run: MakeRun) -> None:
    names = ("$\\frac$", "_hidden", "שלום\nעולם", "日本語", "w" * 200)
    run = deepen(make_run(), dict.fromkeys(names, 0.5))
    assert any(path.stem == "depth" for path in write_figures(run))
    figure = depth_profile(run)
    assert figure is not None
    shown = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert shown[:3] == ["\\$\\frac\\$", " _hidden", "שלום עולם"] and len(shown[4]) == 24

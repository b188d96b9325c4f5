from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_runs import CLAIMED, LAST, prediction, write_picture
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nc_bench import Run
from nc_bench.reports import depth_profile, metric_curves, sentence, simplex_plane, write_figures
from nc_bench.reports.paper import write_paper_figures
from nc_bench.runs import RunError

MakeRun = Callable[..., Run]
PNG = b"\x89PNG\r\n\x1a\n"


def panels_of(figure: Figure | None) -> list[Axes]:
    assert figure is not None
    return figure.axes


def drawn(figure: Figure | None) -> list[Axes]:
    """The panels of a figure that has been drawn, so that everything has its place and every warning was given."""
    assert figure is not None
    FigureCanvasAgg(figure).draw()
    return figure.axes


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def labels(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def test_curves_show_what_was_recorded(make_run: MakeRun) -> None:
    run = make_run()
    risk, points, simplex, shares = panels_of(metric_curves(run))
    train = run.rows[run.rows["split"] == "train"]
    assert np.array_equal(risk.lines[0].get_xydata(), train[["epoch", "risk"]].to_numpy(float))
    assert [axes.get_yscale() for axes in (risk, points, simplex, shares)] == ["log", "log", "log", "linear"]
    assert [line.get_linestyle() for line in points.lines] == ["-", "--"] * 3
    assert labels(shares) == ["norm budget used (simplex_efficiency)", "accuracy", "nearest mean (ncc_accuracy)"]


def test_risk_is_held_against_its_prediction_and_its_floor(make_run: MakeRun) -> None:
    risk = panels_of(metric_curves(make_run()))[0]
    assert labels(risk) == ["risk", "floor of the norms reached (risk_floor)", "predicted minimum 0.04523"]
    assert set(risk.lines[-1].get_ydata()) == {CLAIMED["risk"][0]}


def test_nulls_stand_at_their_levels_in_their_colours(make_run: MakeRun) -> None:
    simplex = panels_of(metric_curves(make_run()))[2]
    dotted = [line for line in simplex.lines if line.get_linestyle() == ":"]
    assert [line.get_ydata()[0] for line in dotted] == [0.098, 0.088, 1.414]
    solid = [line for line in simplex.lines if line.get_linestyle() == "-"]
    assert [line.get_color() for line in dotted] == [line.get_color() for line in solid]


def left_title(axes: Any) -> Any:
    """The title as something drawn; matplotlib offers only its text."""
    return axes._left_title


def test_legends_lie_inside_the_figure_and_on_nothing_else(make_run: MakeRun) -> None:
    figure = metric_curves(make_run())
    panels = drawn(figure)
    page = figure.bbox
    for axes in panels:
        legend = axes.get_legend()
        assert legend is not None
        box = legend.get_window_extent()
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
        assert not box.overlaps(left_title(axes).get_window_extent())
        others = [other.get_legend() for other in panels if other is not axes]
        assert not any(box.overlaps(other.get_window_extent()) for other in others if other is not None)
        assert box.y0 >= axes.get_window_extent().y1 - 1


def test_title_description_and_caption_fit_every_figure(make_run: MakeRun) -> None:
    wordy = {"data": {"name": "fashion_mnist", "labels": "random"}, "model": {"widths": [1024] * 9}}
    run = make_run(config=wordy | {"objective": {"weight_decay": 0.0005, "feature_decay": 1e-5}})
    write_picture(run, epoch=0, classes=10, spread=0.5, tested=False)
    for figure in (metric_curves(run), simplex_plane(run)):
        (panel, *_) = drawn(figure)
        assert figure is not None
        head, body, foot = figure.subfigs
        title, description = (text.get_window_extent() for text in head.texts)
        (caption,) = (text.get_window_extent() for text in foot.texts)
        assert max(box.x1 for box in (title, description, caption)) <= figure.bbox.x1
        assert title.y0 > description.y1 and description.y0 >= body.bbox.y1 and caption.y0 >= figure.bbox.y0
        assert caption.y1 <= body.bbox.y0 and panel.get_tightbbox().y1 <= body.bbox.y1 + 1


def test_missing_columns_and_undefined_values_are_said(make_run: MakeRun) -> None:
    gone = dict.fromkeys(("nc1_quotient", "nc1_cdnv", "nc1_pinv"), float("nan"))
    run = make_run(last=gone, test=gone, reasons={"nc1_pinv": "class 3 is empty"}, predictions=[])
    panels = panels_of(metric_curves(run))
    assert words(panels[1]) == ["undefined: class 3 is empty"]
    without = Run(**{**run.__dict__, "rows": run.rows.drop(columns=["risk", "nc2_equinorm"]), "reasons": {}})
    panels = panels_of(metric_curves(without))
    assert words(panels[0]) == words(panels[1]) == ["not measured"]
    assert labels(panels[2]) == ["angles (nc2_equiangular)", "last layer (nc3_duality_centred)"]


def test_a_metric_known_on_the_test_split_alone_has_its_label(make_run: MakeRun) -> None:
    panels = panels_of(metric_curves(make_run(last={"nc1_cdnv": float("nan")}, predictions=[])))
    assert "pair by pair (nc1_cdnv)" in labels(panels[1])


def test_curves_of_nothing_and_of_one_epoch(make_run: MakeRun) -> None:
    nothing = drawn(metric_curves(make_run(name="nothing", recorded=False, predictions=[])))
    assert [words(axes) for axes in nothing] == [["not measured"]] * 4
    run = make_run(name="one")
    once = Run(**{**run.__dict__, "rows": run.rows[run.rows["epoch"] == 1]})
    assert panels_of(metric_curves(once))[0].lines[0].get_marker() == "o"


def test_exact_collapse_is_no_obstacle(make_run: MakeRun) -> None:
    exact = {"nc1_quotient": 0.0, "nc1_pinv": 1e-31, "nc2_equiangular": 0.0}
    panels = drawn(metric_curves(make_run(last=exact, tested=False)))
    assert labels(panels[1]) == ["pair by pair (nc1_cdnv)", "by direction (nc1_pinv)"]


def test_epochs_recorded_logarithmically_are_shown_so(make_run: MakeRun) -> None:
    assert panels_of(metric_curves(make_run(name="log", config={"record": {"every": "log"}})))[0].get_xscale() == "log"
    assert panels_of(metric_curves(make_run(name="all")))[0].get_xscale() == "linear"


@pytest.mark.parametrize("value", [0.0, 1.7e308, -1e308, float("inf")])
def test_no_value_makes_the_curves_warn_or_fail(make_run: MakeRun, value: float) -> None:
    """Curves that end at the value, constant ones, the epoch 0 alone, and levels: a warning is an error here."""
    names = dict.fromkeys(LAST, value)
    judged = [prediction("risk", 0.05, predicted=value), prediction("nc2_equiangular", 0.1, null=value)]
    run = make_run(last=names, predictions=judged, config={"record": {"every": "log"}})
    constant, mixed = run.rows.assign(**names), run.rows.copy()
    for place, other in enumerate((0.0, 5e-324, 1e-300, 1.0, 1e300, 1.7e308)):
        mixed.loc[mixed.index[place], list(LAST)] = other
    for rows in (constant, mixed, constant[constant["epoch"] == 1].assign(epoch=0)):
        drawn(metric_curves(Run(**{**run.__dict__, "rows": rows})))
    inner = pd.concat([constant.assign(layer="inner"), mixed])
    drawn(depth_profile(Run(**{**run.__dict__, "rows": inner})))


def test_what_cannot_be_drawn_is_not_called_unmeasured(make_run: MakeRun) -> None:
    zero, large = dict.fromkeys(LAST, 0.0), dict.fromkeys(LAST, 1e300)
    panels = panels_of(metric_curves(make_run(name="zero", last=zero, test=zero, predictions=[])))
    assert [words(axes) for axes in panels] == [["0 or beyond 1e+100"]] * 3 + [[]]
    panels = panels_of(metric_curves(make_run(name="large", last=large, test=large, predictions=[])))
    assert [words(axes) for axes in panels] == [["0 or beyond 1e+100"]] * 3 + [["beyond 1e+100"]]


@pytest.mark.parametrize("points", [0.0, 1e30, float("inf")])
@pytest.mark.parametrize("vertices", [0.0, 1e-45, 3e38, 1e99])
def test_planes_of_any_size(make_run: MakeRun, points: float, vertices: float) -> None:
    run = make_run()
    write_picture(run, epoch=300, classes=4, spread=0.1, scales=(points, vertices))
    (train, _) = drawn(simplex_plane(run))
    assert np.isfinite(train.get_xlim()).all() and train.get_xlim()[0] < train.get_xlim()[1]


def test_a_simplex_too_large_to_be_drawn_is_said(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run()
    write_picture(run, epoch=300, classes=4, spread=0.1, scales=(1.0, float("inf")))
    assert [path.name for path in write_figures(run)] == ["metric_curves.png"]
    said = capsys.readouterr().err
    path = run.path / "figures" / "simplex_plane.png"
    assert said == f"{path}: cannot be drawn (at epoch 300 the corners of the simplex are beyond 1e+100)\n"


@pytest.mark.parametrize("classes", [2, 10, 15, 100])
def test_planes_of_few_and_many_classes(make_run: MakeRun, classes: int) -> None:
    run = make_run()
    write_picture(run, epoch=300, classes=classes, spread=0.01)
    write_picture(run, epoch=1, classes=classes, spread=0.5)
    panels = drawn(simplex_plane(run))
    titles = [axes.get_title("left") for axes in panels]
    assert titles == ["training samples, epoch 1", "training samples, epoch 300", "test samples, epoch 300"]
    for axes in panels:
        points, rings = axes.collections
        assert len(points.get_offsets()) == 4 * classes and len(rings.get_offsets()) == classes
        colours = points.get_facecolor()
        assert np.array_equal(colours[:classes], colours[classes : 2 * classes])
        assert len(np.unique(colours, axis=0)) == classes
        assert words(axes) == ([str(label) for label in range(classes)] if classes <= 20 else [])
        assert axes.get_xlim() == panels[0].get_xlim() and axes.get_aspect() == 1
        low, high = axes.get_xlim()
        assert low < points.get_offsets().min() and points.get_offsets().max() < high


def test_classes_are_named_where_the_font_can_write_their_names(make_run: MakeRun) -> None:
    given = ["cat", "_a $x_1$", "\u05e9\u05dc\u05d5\u05dd", "\u65e5\u672c", "x\u202ey\nz", "a name that does not end"]
    run = make_run(manifest={"classes": 6, "class_names": given})
    write_picture(run, epoch=300, classes=6, spread=0.1)
    figure = simplex_plane(run)
    names = ["cat", " _a \\$x_1\\$", "2", "3", "x\ufffdy z", "a name that..."]
    assert all(words(axes) == names for axes in drawn(figure))
    assert "(names, or numbers, at the rings)" in figure.subfigs[-1].texts[0].get_text().replace("\n", " ")


def test_the_plane_of_one_epoch_without_test_samples(make_run: MakeRun) -> None:
    run = make_run()
    write_picture(run, epoch=0, classes=10, spread=0.5, tested=False)
    panels = panels_of(simplex_plane(run))
    assert [axes.get_title("left") for axes in panels] == ["training samples, before training"]


def test_a_radius_that_was_measured_is_not_called_theory(make_run: MakeRun) -> None:
    def caption(name: str, predicted: bool) -> str:
        run = make_run(name=name)
        write_picture(run, epoch=300, classes=10, spread=0.1, predicted=predicted)
        figure = simplex_plane(run)
        assert figure is not None
        return figure.subfigs[-1].texts[0].get_text().replace("\n", " ")

    assert "the simplex that theory predicts, turned to fit the class means" in caption("theory", True)
    assert "none is predicted for this run" in caption("measured", False)


def test_files(make_run: MakeRun) -> None:
    run = make_run()
    write_picture(run, epoch=300, classes=10, spread=0.1)
    both = write_figures(run)
    assert [path.name for path in both] == ["metric_curves.png", "simplex_plane.png"]
    assert all(path.parent == run.path / "figures" and path.read_bytes().startswith(PNG) for path in both)
    next((run.path / "features").iterdir()).unlink()
    assert write_figures(run) == both[:1] and not both[1].exists()


def test_a_damaged_picture_is_named(make_run: MakeRun) -> None:
    run = make_run()
    write_picture(run, epoch=300, classes=10, spread=0.1)
    path = run.path / "features" / "picture-00300.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError, match=r"picture-00300\.safetensors: damaged"):
        simplex_plane(run)


def test_no_state_outside_the_figures(make_run: MakeRun, tmp_path: Path) -> None:
    import matplotlib

    before: dict[str, Any] = dict(matplotlib.rcParams)
    write_figures(make_run(predictions=[prediction("risk", 0.0467)]))
    assert dict(matplotlib.rcParams) == before


@pytest.mark.filterwarnings("error")
def test_features_that_coincide_are_said_and_make_no_noise(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every figure of such a run, for its page and for a paper, without a warning of a plotting library."""
    reason = "all class means coincide"
    gone = dict.fromkeys(("nc1_quotient", "nc1_cdnv", "nc1_pinv", "nc2_equiangular", "nc2_equinorm"), math.nan)
    run = make_run(last=gone, test=gone, reasons=dict.fromkeys(gone, reason), predictions=[])
    for epoch in (1, 300):
        write_picture(run, epoch=epoch, classes=10, spread=0.0, means=0.0, scales=(0.0, 0.0))
    assert len(write_figures(run)) == 2 and write_paper_figures(run, ("svg",), 3.25)
    assert f"undefined: {reason}" in words(panels_of(metric_curves(run))[1])
    assert f"collapse cannot be measured ({reason})" in sentence(run)
    assert capsys.readouterr().err == ""

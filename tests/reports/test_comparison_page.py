"""Several runs on one page: what differs, a column of verdicts each, curves, and what cannot be compared."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import prediction, write_picture, write_run
from page_reader import HOSTILE, Reader

from nc_bench import Run
from nc_bench.report import main
from nc_bench.reports.comparison import write_comparison
from nc_bench.reports.comparison.curves import lines_of
from nc_bench.reports.comparison.names import short_names
from nc_bench.reports.comparison.settings import differing_settings

MakeRun = Callable[..., Run]

FREE = {"constraints": {"features": None, "head": None}, "objective": {"weight_decay": 0.005}}


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text())
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Run], Path]:
    """A bounded run, one with decay and fewer claims, and one that diverged before it was measured."""
    folder = tmp_path_factory.mktemp("three")
    bounded = write_run(folder / "bounded", last={"nc1_quotient": 0.4})
    decayed = write_run(
        folder / "decayed",
        config=FREE,
        last={"nc2_equiangular": math.nan},
        reasons={"nc2_equiangular": "two class means coincide"},
        predictions=[prediction("risk", 0.02, predicted=0.01, verdict="not applicable")],
    )
    diverged = write_run(
        folder / "diverged", manifest={"status": "diverged", "epochs_done": 0}, recorded=False, predictions=[]
    )
    for epoch in (1, 100, 300):
        write_picture(bounded, epoch=epoch, classes=10, spread=30 / (epoch + 30))
    for epoch in (1, 50):
        write_picture(decayed, epoch=epoch, classes=10, spread=0.3)
    runs = [bounded, decayed, diverged]
    return runs, write_comparison(runs, folder / "pages" / "comparison.html")


def test_names_are_as_short_as_tells_them_apart(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "other"]
    assert short_names(paths) == ["a/run", "b/run", "other"]
    long = [tmp_path / ("n" * 200 + str(number)) for number in range(2)]
    first, second = short_names(long)
    assert first != second and max(len(first), len(second)) < 70


def test_no_two_of_36_runs_look_alike() -> None:
    lines = lines_of([str(number) for number in range(36)])
    assert len({(line.colour, line.dash) for line in lines}) == 36


def test_only_the_settings_that_differ_are_told(three: tuple[list[Run], Path]) -> None:
    settings = {one.key: one.values for one in differing_settings(three[0])}
    assert settings == {
        "constraints.features.radius": ("5.0", "–", "5.0"),
        "constraints.features.p": ("2.0", "–", "2.0"),
        "constraints.features.set": ("ball", "–", "ball"),
        "constraints.head.radius": ("1.0", "–", "1.0"),
        "constraints.head.set": ("spectral", "–", "spectral"),
        "objective.weight_decay": ("0.0", "0.005", "0.0"),
    }


def test_zero_is_not_false_and_an_absent_fact_is_none(make_run: MakeRun) -> None:
    runs = [make_run(name=name, manifest={"data_digest": name * 8}) for name in ("a", "b")]
    assert [(one.key, one.values) for one in differing_settings(runs)] == [("data, digest", ("aaaaaaaa", "bbbbbbbb"))]
    assert differing_settings([runs[0], runs[0]]) == []


def test_every_run_has_its_verdicts_and_its_reason(three: tuple[list[Run], Path]) -> None:
    text = " ".join(read(three[1]).text.split())
    assert "The run diverged after epoch 0 of 40" not in text
    assert "The run diverged after epoch 0 of 300: its loss was no longer finite." in text
    assert "complete, 300 epochs" in text and "6 of 7" in text and "not judged" in text
    for said in ("no such claim", "not applicable", "fails", "0.4, predicted 0", "0.02, predicted 0.01"):
        assert said in text.replace("\u00a0", " ")
    assert "decayed: undefined: two class means coincide." in text
    assert "Nothing was measured of diverged." in text


def test_curves_have_a_line_for_each_run_that_was_measured(three: tuple[list[Run], Path]) -> None:
    charts = {chart["name"]: chart for chart in read(three[1]).data["charts"]}
    chart = charts["nc1_quotient-train"]
    assert [(one["words"], one["run"]) for one in chart["series"]] == [("bounded", 0), ("decayed", 1)]
    assert chart["series"][0]["values"][-1] == pytest.approx(0.4) and chart["logarithmic"]
    assert [one["run"] for one in charts["nc2_equiangular-train"]["series"]] == [0]
    assert charts["accuracy-test"]["series"][0]["values"][-1] == pytest.approx(0.977)
    (level,) = charts["nc2_equiangular-train"]["levels"]
    assert level["value"] == 0.098 and level["run"] is None
    assert {(one["run"], one["value"]) for one in charts["risk-train"]["levels"]} == {(0, 0.045232488355), (1, 0.01)}


def test_a_run_that_was_recorded_at_other_epochs_is_told_from_one_that_is_undefined(make_run: MakeRun) -> None:
    runs = [make_run(name="a"), make_run(name="b", last={"nc1_cdnv": math.nan})]
    rows = runs[1].path / "metrics.jsonl"
    rows.write_text("".join(line + "\n" for line in rows.read_text().splitlines() if '"epoch": 10,' not in line))
    from nc_bench import load_run

    page = write_comparison([runs[0], load_run(runs[1].path)], runs[0].path.parent / "page.html")
    chart = next(chart for chart in read(page).data["charts"] if chart["name"] == "nc1_quotient-train")
    values = chart["series"][1]["values"]
    assert values[chart["epochs"].index(10)] == "" and None not in values


def test_the_slider_has_the_epochs_of_all_and_each_shows_its_last_before(three: tuple[list[Run], Path]) -> None:
    side = read(three[1]).data["side"]
    assert side["epochs"] == [1, 50, 100, 300]
    assert side["stops"] == [[0, 0, 1, 2], [0, 1, 1, 1], [0, 0, 0, 0]]
    assert side["motions"][2] is None and [len(side["motions"][run]["frames"]) for run in (0, 1)] == [3, 2]


def test_twelve_runs_make_a_small_page(make_run: MakeRun) -> None:
    runs = [make_run(name=f"run {number}") for number in range(12)]
    for run in runs:
        write_picture(run, epoch=1, classes=400, spread=0.5)
        write_picture(run, epoch=300, classes=400, spread=0.1)
    page = write_comparison(runs, runs[0].path.parent / "page.html")
    side = read(page).data["side"]
    assert page.stat().st_size < 3e6 and len(side["motions"]) == 12


def test_hostile_names_are_text(make_run: MakeRun) -> None:
    names = [name.replace("/", ":")[:200] for name in HOSTILE]
    runs = [make_run(name=name, manifest={"status": name, "class_names": HOSTILE}) for name in names]
    for run in runs:
        write_picture(run, epoch=300, classes=5, spread=0.1)
    page = write_comparison(runs, runs[0].path.parent / "page.html")
    reader = read(page)
    assert len(reader.scripts) == 2 and not {"img", "b"} & {tag for tag, _ in reader.tags}
    assert names[0] in reader.text and names[1] in reader.text and "\u202e" not in page.read_text()


def test_nothing_but_pages_of_runs_is_referred_to(three: tuple[list[Run], Path], make_run: MakeRun) -> None:
    assert not any({"href", "src"} & set(found) for _, found in read(three[1]).tags)
    runs = [make_run(name=name) for name in ("with #page", "without")]
    (runs[0].path / "report.html").write_text("a page")
    page = write_comparison(runs, runs[0].path.parent / "page.html")
    assert [found["href"] for _, found in read(page).tags if "href" in found] == ["with%20%23page/report.html"]
    addresses = re.findall(r"https?:[^\"'\s]*|url\(|@import|fetch\(|XMLHttp|import\(", page.read_text())
    assert addresses == ["http://www.w3.org/2000/svg"]


def test_a_directory_named_twice_is_shown_once(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [make_run(name=name) for name in ("a", "b")]
    monkeypatch.chdir(runs[0].path.parent)
    assert main(["a", "b", "./a"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "a: is named twice, as a; it is shown once\n"
    assert "page: comparison.html" in shown.out and "2 runs compared" in Path("comparison.html").read_text()
    alone: list[Path] = []
    monkeypatch.setattr("nc_bench.reports.render_run", alone.append)
    monkeypatch.setattr("nc_bench.reports.exports.write_exports", lambda run, **options: None)
    assert main(["a", "a"]) == 0 and alone == [Path("a")]


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["a", "empty"], "nothing to compare: fewer than two of these directories hold a run"),
        (["a", "other version"], "nothing to compare: fewer than two of these directories hold a run"),
        (["a", "--out", "page.html"], "--out: is for the page of several runs or of a sweep"),
    ],
)
def test_what_cannot_be_compared_is_said_in_a_line(
    argv: list[str],
    line: str,
    make_run: MakeRun,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = make_run(name="a").path.parent
    make_run(name="other version", config={"head": {"temperature": 3}})
    (folder / "empty").mkdir()
    monkeypatch.chdir(folder)
    assert main(argv) == 2
    lines: Any = capsys.readouterr().err.splitlines()
    assert line in lines[-1] and len(lines) == (2 if len(argv) == 2 else 1)
    assert not Path("comparison.html").exists()

"""The page of a sweep: its answer, its tables, and the numbers that its pictures draw, from run directories alone."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_runs import write_sweep_of_runs
from page_reader import HOSTILE, Reader

from nc_bench import load_sweep
from nc_bench.report import main
from nc_bench.statistics import paired_difference, summarise
from nc_bench.sweeps.page import write_sweep_page
from nc_bench.sweeps.page.document import sweep_page
from nc_bench.sweeps.page.measures import drawn_measures
from nc_bench.sweeps.page.trials import Curves, SweepData

STUDY: dict[str, Any] = {
    "question": "Does <width> matter?",
    "hypothesis": "It does.",
    "prediction": "None.",
    "matched": "All else.",
    "refuted_if": "It does not.",
    "rule": "A t test.",
    "answer": "import:gone.module:rule",
    "arguments": {},
    "source": "0" * 64,
    "expected_time": "seconds",
    "limits": "Two widths.",
    "measures": {"spread": {"metric": "nc1_quotient"}, "epoch of .5": {"metric": "accuracy", "stays_above": 0.5}},
    "rows": ["width", "lr"],
    "compare": {"column": "width", "against": 8},
    "figure": {"kind": "curves", "measures": ["spread"]},
}
ANSWER = {
    "headline": "Supported: it does by 0.2 [0.1, 0.3], n = 3",
    "verdict": "supported",
    "header": ["width", "spread"],
    "rows": [["8", "0.3"], ["64", "0.1"]],
    "limits": ["Made up."],
}


def spread(width: int, seed: int) -> float:
    return 0.4 / math.sqrt(width) + 0.01 * seed**2


def points(seeds: int = 3) -> list[Any]:
    """Two widths and two rates."""
    return [
        ({"width": width, "lr": lr}, seed, {"last": {"nc1_quotient": spread(width, seed) * (1 + lr)}})
        for width in (8, 64)
        for lr in (0.1, 0.5)
        for seed in range(seeds)
    ]


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text())
    assert reader.open == []
    return reader


def floats(text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.frombuffer(base64.b64decode(text), np.float32)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve complete trials, one that diverged, one that failed and one that was not started; a study is asked."""
    diverged = {"manifest": {"status": "diverged", "epochs_done": 5}, "predictions": []}
    more = [({"width": 8, "lr": 9.0}, seed, changes) for seed, changes in enumerate((diverged, None, None))]
    folder = tmp_path_factory.mktemp("sweep") / "widths"
    write_sweep_of_runs(folder, [*points(), *more], study=STUDY, answer=ANSWER)
    (folder / "failures").mkdir()
    failure = {"trial": f"{13:016x}", "error": "out of memory: lower training.batch_size", "traceback": None}
    (folder / "failures" / f"{13:016x}.json").write_text(json.dumps(failure))
    (folder / "trials" / f"{2:016x}" / "report.html").write_text("its page")
    write_sweep_page(load_sweep(folder))
    return folder


def test_the_answer_stands_first_with_what_was_said_before(sweep: Path) -> None:
    text = " ".join(read(sweep / "report.html").text.split())
    told = ("Does <width> matter?", "supported it does by 0.2", "Two widths. Made up.", "Refuted if", "The table")
    assert [text.index(part) for part in told] == sorted(text.index(part) for part in told)


def test_what_did_not_come_to_its_end_is_said_with_its_reason(sweep: Path) -> None:
    reader = read(sweep / "report.html")
    text = " ".join(reader.text.split())
    assert "12complete 1diverged 1failed 1not started" in text
    assert "diverged after epoch 5: its loss was no longer finite" in text
    assert "out of memory: lower training.batch_size" in text
    states = np.frombuffer(base64.b64decode(reader.data["trials"]["state"]), np.uint8)
    assert [reader.data["trials"]["states"][code] for code in states[-3:]] == ["diverged", "failed", "pending"]
    spreads = {one["name"]: floats(one["values"]) for one in reader.data["trials"]["measures"]}["spread"]
    assert np.isfinite(spreads[:12]).all() and np.isnan(spreads[12:]).all()


def test_the_last_values_of_all_metrics_are_there(sweep: Path) -> None:
    packed = read(sweep / "report.html").data["trials"]
    values = {one["name"]: floats(one["values"]) for one in packed["measures"]}
    assert list(values)[:2] == ["spread", "epoch of .5"]
    assert {"nc3_duality_centred", "accuracy, test", "feature_radius"} <= set(values)
    expected = [change["last"]["nc1_quotient"] for _, _, change in points()]
    np.testing.assert_allclose(values["nc1_quotient"][:12], expected, rtol=1e-6)
    assert values["accuracy, test"][0] == pytest.approx(0.977) and values["accuracy"][0] == 1
    assert {one["name"]: one["isLog"] for one in packed["measures"]}["nc1_quotient"]


def test_bands_are_means_and_t_intervals(sweep: Path) -> None:
    bands = read(sweep / "report.html").data["bands"]
    assert bands["by"] == ["width", "lr"] and bands["cells"][1] == ["8", "0.5"] and bands["runs"] == [3, 3, 3, 3, 1]
    found = next(one for one in bands["measures"] if one["name"] == "nc1_quotient")
    expected = summarise([spread(8, seed) * 1.5 for seed in range(3)])
    place = len(bands["epochs"]) + bands["epochs"].index(300)
    assert floats(found["means"])[place] == pytest.approx(expected.mean, rel=1e-5)
    assert floats(found["halves"])[place] == pytest.approx(expected.high - expected.mean, rel=1e-5)
    assert bands["pooled"] == [] and bands["leftOut"] == 0


def test_differences_of_a_study_are_those_that_it_asks_for(sweep: Path) -> None:
    (found,) = read(sweep / "report.html").data["differences"]
    assert (found["column"], found["against"], found["by"]) == ("width", "8", ["lr"])
    assert {row["measure"] for row in found["rows"]} == {"spread", "epoch of .5"}


def test_differences_without_a_study_are_paired_by_seed_and_all_other_columns(tmp_path: Path) -> None:
    folder = write_sweep_of_runs(tmp_path / "plain", points())
    data = read(write_sweep_page(load_sweep(folder), tmp_path / "elsewhere" / "page.html")).data
    assert [one["column"] for one in data["differences"]] == ["width", "lr"]
    rows = [row for row in data["differences"][0]["rows"] if row["measure"] == "nc1_quotient"]
    assert [row["labels"] for row in rows] == [["64", "0.1"], ["64", "0.5"]]
    other, reference = ([spread(width, seed) * 1.5 for seed in range(3)] for width in (64, 8))
    expected = paired_difference(other, reference)
    assert (rows[1]["n"], rows[1]["paired"]) == (3, True)
    assert rows[1]["mean"] == pytest.approx(expected.mean, rel=1e-3)
    assert rows[1]["low"] == pytest.approx(expected.low, rel=1e-3)
    assert data["trials"]["folder"] == "../plain/trials"


def test_trials_that_have_a_page_are_linked_to_it(sweep: Path) -> None:
    packed = read(sweep / "report.html").data["trials"]
    has_page = np.frombuffer(base64.b64decode(packed["hasPage"]), np.uint8)
    assert has_page.tolist() == [0, 0, 1, *[0] * 12] and packed["folder"] == "trials" and len(packed["trials"]) == 15


def test_one_trial_and_one_that_has_not_begun_have_pages(tmp_path: Path) -> None:
    for name, changes in (("one", {}), ("none", None)):
        folder = write_sweep_of_runs(tmp_path / name, [({"arm": "a"}, 0, changes)])
        text = read(write_sweep_page(load_sweep(folder))).text
        assert ("No trial has finished." in text) == (changes is None)


def test_hostile_labels_are_text(tmp_path: Path) -> None:
    arms: list[Any] = [({"arm": name}, seed, {}) for name in HOSTILE for seed in range(2)]
    study = {**STUDY, "question": HOSTILE[0], "rows": ["arm"], "compare": None, "limits": HOSTILE[1]}
    folder = write_sweep_of_runs(tmp_path / "sweep", arms, study=study, answer={**ANSWER, "headline": HOSTILE[0]})
    page = write_sweep_page(load_sweep(folder))
    reader = read(page)
    assert len(reader.scripts) == 2 and "img" not in {tag for tag, _ in reader.tags}
    assert HOSTILE[0] in reader.text and HOSTILE[1] in reader.text and "\u202e" not in page.read_text()


def test_a_folder_without_a_grid_has_the_settings_that_differ_and_none_twice(tmp_path: Path) -> None:
    runs = [
        ({"unused": 0}, seed, {"config": {"optimizer": {"lr": lr}, "data": {"labels": labels}}})
        for lr, labels in ((0.1, "original"), (0.5, "random"))
        for seed in range(2)
    ]
    folder = write_sweep_of_runs(tmp_path / "sweep", runs)
    (folder / "grids" / "grid.json").unlink()
    columns = read(write_sweep_page(load_sweep(folder))).data["trials"]["columns"]
    assert len(columns) == 2 and columns[1]["name"] == "seed"


def many_trials() -> SweepData:
    """4,000 complete trials: 40 rates, 10 widths and 10 seeds, at 60 epochs."""
    rates, widths = np.geomspace(1e-4, 1, 40), (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
    rows = [(f"arm {w}", float(f"{lr:.4g}"), seed) for w in widths for lr in rates for seed in range(10)]
    table = pd.DataFrame(rows, columns=["arm", "lr", "seed"])
    table["trial"], table["state"] = [f"{number:016x}" for number in range(len(rows))], "complete"
    random = np.random.default_rng(0)
    measures = dict(list(drawn_measures(None).items())) | {
        f"further {number}": drawn_measures(None)["risk"] for number in range(60)
    }
    for name in measures:
        table[name] = random.lognormal(size=len(rows))
    epochs = np.geomspace(1, 3000, 60).round()
    curves = {
        trial: Curves(epochs=epochs, values={name: random.lognormal(size=60) for name in drawn_measures(None)})
        for trial in table["trial"]
    }
    return SweepData(
        path=Path("large"),
        study=None,
        answer=None,
        columns=("arm", "lr"),
        measures=measures,
        points=table,
        curves=curves,
    )


@pytest.mark.slow
def test_4000_trials_make_a_page_below_3_MB() -> None:
    page = sweep_page(many_trials(), Path("large/report.html"))
    assert 1e6 < len(page) < 3e6
    reader = Reader()
    reader.feed(page.decode())
    bands, packed = reader.data["bands"], reader.data["trials"]
    assert len(bands["cells"]) == 400 and len(bands["epochs"]) >= 12 and bands["leftOut"] > 0
    assert len(packed["trials"]) == 4000 and len(packed["measures"]) >= 50 and packed["leftOut"] > 0


def test_the_command_says_where_the_page_is(sweep: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([str(sweep), "--out", str(tmp_path / "new" / "page.html")]) == 0
    shown = capsys.readouterr().out
    assert "12 complete, 1 diverged, 1 failed, 1 pending of 15 trials" in shown
    assert f"page: {tmp_path / 'new' / 'page.html'}" in shown and (tmp_path / "new" / "page.html").is_file()


@pytest.mark.parametrize("kind", ["tables of a study", "damaged grid", "beside a run", "figures of runs"])
def test_what_is_no_sweep_is_said_in_a_line(
    kind: str, sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    argv, said = [str(folder)], "holds no run"
    if kind == "tables of a study":
        (folder / "answer.md").write_text("# Question")
        said = "holds the tables of a study; name the folder of its sweep"
    elif kind == "damaged grid":
        (folder / "base.yaml").write_text("seed: 0")
        (folder / "grids").mkdir()
        (folder / "grids" / "a.json").write_text("{")
        said = "a.json"
    elif kind == "beside a run":
        argv, said = [str(sweep), str(folder)], "holds a sweep, whose page has all of its trials; name it alone"
    else:
        argv, said = [str(sweep), "--animation"], "--format and --animation: are for runs"
    assert main(argv) == 2
    assert said in capsys.readouterr().err

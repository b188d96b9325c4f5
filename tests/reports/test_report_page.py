from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_runs import prediction, write_picture, write_run
from page_reader import HOSTILE, Reader

from nc_bench import Run
from nc_bench.reports import sentence, write_page
from nc_bench.reports.page.charts import thinned
from nc_bench.reports.page.document import SCRIPTS, name_of
from nc_bench.reports.paper import write_paper_figures

MakeRun = Callable[..., Run]


def read(run: Run) -> tuple[str, Reader]:
    page = write_page(run)
    assert page == run.path / "report.html"
    source = page.read_text()
    reader = Reader()
    reader.feed(source)
    assert reader.open == []
    return source, reader


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str, Reader]:
    run = write_run(tmp_path_factory.mktemp("runs") / "demo <1>", last={"nc1_quotient": 0.4})
    write_picture(run, epoch=1, classes=10, spread=0.5)
    write_picture(run, epoch=300, classes=10, spread=0.1)
    return run, *read(run)


def test_nothing_outside_the_page_is_referred_to(demo: tuple[Run, str, Reader]) -> None:
    _, source, reader = demo
    addresses = re.findall(r"https?:[^\"'\s]*|url\(|@import|fetch\(|XMLHttp|import\(", source)
    assert addresses == ["http://www.w3.org/2000/svg"]
    assert {tag for tag, _ in reader.tags}.isdisjoint({"link", "iframe", "object", "base", "img"})
    assert not any({"href", "src"} & set(attributes) for _, attributes in reader.tags)
    policies = [a["content"] for tag, a in reader.tags if tag == "meta" and "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"]


def test_what_is_looked_for_first_stands_first(demo: tuple[Run, str, Reader]) -> None:
    run, source, reader = demo
    order = [
        "demo <1>",
        "6 of 7",
        sentence(run),
        "The simplex in motion",
        "How the collapse went",
        "Angles and lengths",
    ]
    order += ["Predicted and measured", "How the run was made"]
    assert [order.index(text) for text in sorted(order, key=reader.text.index)] == list(range(len(order)))
    heads = re.findall(r"<th scope=\"col\"[^>]*>([^<]*)</th>", source[source.index('class="claims"') :])
    assert heads[:3] == ["claim", "verdict", "predicted"]
    assert len(re.findall("<details>", source)) == 4 and "<details open" not in source


def test_pictures_are_in_the_page_as_they_were_kept(demo: tuple[Run, str, Reader]) -> None:
    _, source, reader = demo
    motion = reader.data["motion"]
    assert [frame["epoch"] for frame in motion["frames"]] == [1, 300] and len(source) < 3e6
    assert (motion["classes"], motion["shown"], motion["width"]) == (10, 10, 10)
    means = np.frombuffer(base64.b64decode(motion["frames"][1]["means"]), "<f4").reshape(10, 10)
    np.testing.assert_allclose(means, 1.1 * (np.eye(10) - 0.1), rtol=0, atol=1e-6)
    labels = np.frombuffer(base64.b64decode(motion["splits"][1]["labels"]), "<i4")
    assert labels.tolist() == [sample % 10 for sample in range(40)]


def test_sentence_verdicts_notes_and_origin_are_in_the_page(demo: tuple[Run, str, Reader]) -> None:
    run, _, reader = demo
    assert sentence(run) in reader.text and "demo <1>" in reader.text
    classes = [attributes.get("class") or "" for tag, attributes in reader.tags if tag == "span"]
    verdicts = [name for name in classes if name.startswith("verdict")]
    assert sorted(set(verdicts)) == ["verdict fails", "verdict holds"]
    assert verdicts.count("verdict fails") == 2 and len(verdicts) == 8
    for expected in (
        "null: what random Gaussian",
        "[1] E & Wojtowytsch",
        "versions.torch",
        "2.13.0",
        "0123456789abcdef",
        "nc-bench train --config 'digits & more.yaml'",
        "momentum: 0.9",
        "--out NEW_FOLDER",
    ):
        assert expected in reader.text


def test_text_from_the_run_is_never_markup(make_run: MakeRun) -> None:
    evil = "<script>alert('&amp;')</script>"
    claims = [prediction("risk", 0.0467, claim=evil, source=evil, assumption=evil)]
    manifest = {"command": evil, "device": evil, "status": evil, "classes": 5, "class_names": list(HOSTILE)}
    run = make_run(name="<i>", predictions=claims, manifest=manifest)
    write_picture(run, epoch=300, classes=5, spread=0.1)
    source, reader = read(run)
    assert len(reader.scripts) == 2 and "<i>" not in source and "<img" not in source and "\u202e" not in source
    assert reader.text.count(evil) >= 6
    assert write_paper_figures(run, ("svg",), 3.25)
    names = reader.data["motion"]["names"]
    assert names[:3] == list(HOSTILE[:3]) and names[3] == "\ufffdabc" and len(names[4]) == 200


@pytest.mark.parametrize("status", ["failed", "diverged", "running", "interrupted"])
def test_a_run_with_nothing_to_show_has_a_page(make_run: MakeRun, status: str) -> None:
    _, reader = read(make_run(recorded=False, predictions=[], manifest={"status": status, "epochs_done": 0}))
    assert "Nothing was measured." in reader.text and "no verdict" in reader.text and status in reader.text
    assert "No claim has been judged" in reader.text and "No picture of the features was kept" in reader.text
    assert reader.data["motion"] is None and "not measured" in reader.text


def test_values_that_are_no_numbers_are_said_and_leave_gaps(make_run: MakeRun) -> None:
    gone = dict.fromkeys(("nc1_quotient", "nc1_cdnv", "nc1_pinv"), float("nan"))
    run = make_run(last=gone, test=gone, reasons={"nc1_pinv": "class 3 is empty"}, predictions=[])
    _, reader = read(run)
    assert "undefined: class 3 is empty" in reader.text and "NaN" not in reader.scripts[0]
    assert [chart["name"] for chart in reader.data["charts"]] == ["risk", "nc1", "nc2", "nc4", "shares"]


def test_pictures_beyond_what_can_be_drawn_are_left_out(make_run: MakeRun) -> None:
    run = make_run()
    write_picture(run, epoch=300, classes=4, spread=0.1, scales=(1.0, float("inf")))
    _, reader = read(run)
    assert reader.data["motion"] is None


def test_text_from_the_run_turns_no_other_text(make_run: MakeRun) -> None:
    turned = "\u202e\u2066abc\u200f"
    source, reader = read(make_run(name="a\u202eb", manifest={"command": turned, "device": turned}))
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", source)
    assert "\ufffd\ufffdabc\ufffd" in reader.text


def test_a_folder_named_by_the_time_gets_the_name_of_its_configuration(tmp_path: Path) -> None:
    assert name_of(tmp_path / "digits_ball" / "2026-01-02-030405.678") == "digits_ball, 2026-01-02-030405.678"
    assert name_of(tmp_path / "digits_ball" / "mine") == "mine"


def test_long_runs_show_some_of_their_epochs() -> None:
    epochs = [float(epoch) for epoch in range(1, 20_001)]
    shown = thinned(epochs)
    assert shown[:5] == epochs[:5] and shown[-1] == epochs[-1] and 250 < len(shown) <= 400
    assert shown == sorted(set(shown)) and thinned(epochs[:400]) == epochs[:400]


def test_every_script_and_the_style_are_shipped() -> None:
    from nc_bench.reports import page

    folder = Path(page.__file__).parent
    assert {path.name for path in folder.glob("*.js")} == set(SCRIPTS) and (folder / "page.css").is_file()

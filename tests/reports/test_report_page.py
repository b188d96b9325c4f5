from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_runs import prediction, write_picture

from nc_bench import Run
from nc_bench.reports import sentence, write_figures, write_page

MakeRun = Callable[..., Run]
VOID = {"meta", "img"}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and insists that every tag is closed where it should be."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(run: Run, figures: Sequence[Path] = ()) -> tuple[str, Reader]:
    page = write_page(run, figures)
    assert page == run.path / "report.html"
    source = page.read_text()
    reader = Reader()
    reader.feed(source)
    assert reader.open == []
    return source, reader


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str, Reader]:
    from made_runs import write_run

    run = write_run(tmp_path_factory.mktemp("runs") / "demo <1>", last={"nc1_quotient": 0.4})
    write_picture(run, epoch=300, classes=10, spread=0.1)
    return run, *read(run, write_figures(run))


def test_nothing_outside_the_page_is_referred_to(demo: tuple[Run, str, Reader]) -> None:
    _, source, reader = demo
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r"base64,[^\"]*", "", source))
    assert {tag for tag, _ in reader.tags}.isdisjoint({"script", "link", "iframe", "object", "base"})
    for _, attributes in reader.tags:
        assert "href" not in attributes and (attributes.get("src") or "data:").startswith("data:")


def test_both_figures_are_in_the_page(demo: tuple[Run, str, Reader]) -> None:
    run, _, reader = demo
    images = [attributes for tag, attributes in reader.tags if tag == "img"]
    for image, name in zip(images, ("metric_curves", "simplex_plane"), strict=True):
        encoded = str(image["src"]).removeprefix("data:image/png;base64,")
        assert base64.b64decode(encoded) == (run.path / "figures" / f"{name}.png").read_bytes()
        assert image["alt"]


def test_sentence_verdicts_notes_and_origin_are_in_the_page(demo: tuple[Run, str, Reader]) -> None:
    run, _, reader = demo
    assert sentence(run) in reader.text and "Run demo <1>" in reader.text
    classes = [attributes.get("class") or "" for tag, attributes in reader.tags if tag == "span"]
    verdicts = [name for name in classes if name.startswith("verdict")]
    assert sorted(set(verdicts)) == ["verdict fails", "verdict holds"]
    assert verdicts.count("verdict fails") == 1 and len(verdicts) == 7
    for expected in (
        "null: what random Gaussian",
        "[1] E & Wojtowytsch",
        "versions.torch",
        "2.13.0",
        "0123456789abcdef",
    ):
        assert expected in reader.text
    assert "nc-bench train --config 'digits & more.yaml'" in reader.text
    assert "momentum: 0.9" in reader.text


def test_text_from_the_run_is_never_markup(make_run: MakeRun) -> None:
    evil = "<script>alert('&amp;')</script>"
    claims = [prediction("risk", 0.0467, claim=evil, source=evil, assumption=evil)]
    run = make_run(name="<i>", predictions=claims, manifest={"command": evil, "device": evil})
    source, reader = read(run)
    assert "<script" not in source and "<i>" not in source
    assert reader.text.count(evil) == 6


def test_a_run_with_nothing_to_show_has_a_page(make_run: MakeRun) -> None:
    _, reader = read(make_run(recorded=False, predictions=[], manifest={"status": "failed", "epochs_done": 0}))
    assert "Nothing was measured." in reader.text and "No claim has been judged" in reader.text


def test_text_from_the_run_turns_no_other_text(make_run: MakeRun) -> None:
    turned = "\u202e\u2066abc\u200f"
    source, reader = read(make_run(name="a\u202eb", manifest={"command": turned, "device": turned}))
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", source)
    assert "\ufffd\ufffdabc\ufffd" in reader.text

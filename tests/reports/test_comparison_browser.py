"""The page of several runs in a real browser: one slider, one switch for each run, read by everybody."""

from __future__ import annotations

import base64
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from browser import CONTRAST, Browser
from made_runs import write_picture, write_run
from page_reader import HOSTILE

from nc_bench import Run
from nc_bench.reports.comparison import write_comparison

pytestmark = pytest.mark.slow

EPOCHS = {"long": (1, 10, 100, 300), "short": (1, 50), "three classes": (2, 300)}


@pytest.fixture(scope="module")
def page_of_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs with pictures of different epochs and classes, and one that diverged and has none."""
    folder = tmp_path_factory.mktemp("compared")
    runs: list[Run] = []
    for name, epochs in EPOCHS.items():
        runs.append(write_run(folder / name))
        for epoch in epochs:
            write_picture(runs[-1], epoch=epoch, classes=3 if name == "three classes" else 10, spread=1 / epoch)
    diverged = {"status": "diverged", "epochs_done": 0}
    runs.append(write_run(folder / "diverged", manifest=diverged, recorded=False, predictions=[]))
    return write_comparison(runs, folder / "comparison.html")


@pytest.fixture
def page(page_of_three: Path, browser: Browser) -> Browser:
    browser.complaints()
    browser.requests()
    browser.show(page_of_three)
    browser.wait("simplices[0].panels[0].points.length > 0")
    return browser


def test_nothing_leaves_the_page_and_nothing_goes_wrong(page_of_three: Path, page: Browser) -> None:
    page.run("document.querySelectorAll('button').forEach((button) => button.click())")
    page.run("document.querySelectorAll('input[type=checkbox]').forEach((box) => box.click())")
    page.wait("document.querySelectorAll('svg').length > 15")
    assert page.requests() == [page_of_three.as_uri()] and page.complaints() == []


def shown_epochs(page: Browser) -> list[str]:
    return list(page.run("return [...document.querySelectorAll('[data-run-epoch]')].map((one) => one.textContent)"))


def test_one_slider_moves_all_and_each_says_its_epoch(page: Browser) -> None:
    assert page.run("return player.epochs") == [1, 2, 10, 50, 100, 300]
    assert shown_epochs(page) == ["epoch 300", "epoch 50, its last picture", "epoch 300"]
    positions = "return simplices.slice(0, 3).map((one) => Array.from(one.between(one.place).train))"
    end = [np.array(one) for one in page.run(positions)]
    page.run("player.show(0)")
    assert shown_epochs(page) == ["epoch 1", "epoch 1", "epoch 2, its first picture"]
    start = [np.array(one) for one in page.run(positions)]
    assert all(np.abs(one - other).max() > 0.05 for one, other in zip(start, end, strict=True))
    page.run("player.show(4)")
    assert shown_epochs(page)[1:] == ["epoch 50, its last picture", "epoch 2, its last picture so far"]
    page.run("player.show(0); document.querySelector('[data-motion=play]').click()")
    page.wait("!player.playing && player.place === 5")
    assert all(np.array_equal(one, other) for one, other in zip(page.run(positions), end, strict=True))


def test_turning_one_turns_all(page: Browser) -> None:
    page.run("document.querySelector('[data-run=\"1\"] canvas').focus()")
    drawn = "return simplices.slice(0, 3).map((one) => one.panels[0].points.map((point) => point.x))"
    before = page.run(drawn)
    page.press("\ue014", "\ue014")
    after = page.run(drawn)
    assert all(np.abs(np.subtract(one, other)).max() > 2 for one, other in zip(before, after, strict=True))


def test_runs_and_samples_are_switched(page: Browser) -> None:
    lines = "return document.querySelectorAll('[data-chart=\"nc1_quotient-train\"] path').length"
    assert page.run(lines) == 3
    page.run("document.querySelector('[data-run-switch=\"0\"]').click()")
    assert page.run(lines) == 2 and page.run("return document.querySelector('[data-run=\"0\"]').hidden")
    page.run("document.querySelector('[data-choose=test]').click()")
    sizes = "return ['train', 'test'].map((s) => document.querySelector(`[data-chart='risk-${s}']`).clientWidth > 0)"
    assert page.run(sizes) == [False, True]
    canvas = "return [...document.querySelectorAll('[data-run=\"1\"] canvas')].map((c) => c.clientWidth > 0)"
    assert page.run(canvas) == [False, True]
    page.wait("document.querySelector('[data-chart=\"risk-test\"] path') !== null")


def test_the_keyboard_tells_the_values_of_all_runs(page: Browser) -> None:
    page.run("document.querySelector('[data-chart=\"risk-train\"] svg').focus()")
    page.press("\ue014")
    said = page.run("return document.querySelector('[data-chart=\"risk-train\"] .tip').textContent").splitlines()
    assert said[0] == "epoch 2" and [line.split(": ")[0] for line in said[1:]] == list(EPOCHS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_written_has_contrast(page_of_three: Path, browser: Browser, scheme: str) -> None:
    browser.show(page_of_three, prefers_color_scheme=scheme)
    browser.run("for (const folded of document.querySelectorAll('details')) folded.open = true")
    seen, low = browser.run(CONTRAST)
    assert seen > 200 and low == []


def test_a_phone_stacks_the_simplices_and_scrolls_tables_alone(page_of_three: Path, browser: Browser) -> None:
    browser.show(page_of_three, width=390, height=844)
    browser.wait("simplices[0].panels[0].points.length > 0")
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    tops = browser.run("return [...document.querySelectorAll('[data-run]')].map((r) => r.getBoundingClientRect().top)")
    assert all(below > above + 100 for above, below in pairwise(tops))
    verdict = browser.run("return document.querySelector('.claims .verdict').getBoundingClientRect().right")
    assert verdict <= 390


def test_it_prints(page: Browser) -> None:
    sheet = base64.b64decode(page.command("Page.printToPDF", printBackground=True)["data"])
    assert sheet.startswith(b"%PDF") and len(sheet) > 30_000


def test_twelve_runs_with_hostile_names_are_readable(tmp_path: Path, browser: Browser) -> None:
    hostile = [name.replace("/", ":")[:200] for name in HOSTILE]
    names = [*hostile, *(f"run {number}" for number in range(12 - len(hostile)))]
    runs = [write_run(tmp_path / name, manifest={"class_names": HOSTILE}) for name in names]
    for run in runs:
        write_picture(run, epoch=300, classes=5, spread=0.1)
    page = write_comparison(runs, tmp_path / "page.html")
    for width in (390, 1200):
        browser.complaints()
        browser.show(page, width=width, height=844)
        browser.wait("simplices.every((one) => one.panels[0].points.length > 0)")
        assert browser.run("return window.hit ?? null") is None and browser.complaints() == []
        assert browser.run("return document.documentElement.scrollWidth") <= width
    places = "return [...document.querySelectorAll('[data-run]')].map((run) => run.getBoundingClientRect().left)"
    lefts = browser.run(places)
    assert len(lefts) == 12 and 2 <= len(set(lefts)) <= 6

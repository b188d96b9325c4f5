"""The page of a sweep in a real browser: one filter for all its pictures, values told, read by everybody."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import pytest
from browser import CONTRAST, Browser
from made_runs import write_sweep_of_runs
from page_reader import HOSTILE

from nc_bench import load_sweep
from nc_bench.sweeps.page import write_sweep_page

pytestmark = pytest.mark.slow

RATES = tuple(round(0.01 * 1.3**step, 4) for step in range(14))
"""Too many for a colour each: they are shown on a scale."""


def trial(arm: str, rate: float, seed: int) -> tuple[dict[str, Any], int, dict[str, Any]]:
    last = {"nc1_quotient": 0.01 * (1 + seed) + rate * len(arm), "nc3_duality_centred": math.sqrt(rate)}
    return {"optimizer": arm, "lr": rate}, seed, {"last": last}


@pytest.fixture(scope="module")
def page_of_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two optimizers, 14 rates and two seeds; one more trial diverged, and the first has a page."""
    folder = tmp_path_factory.mktemp("sweep") / "optimizers"
    points: list[Any] = [trial(arm, rate, seed) for arm in ("sgd", "adam") for rate in RATES for seed in (0, 1)]
    points.append(({"optimizer": "adam", "lr": 9.0}, 0, {"manifest": {"status": "diverged"}, "predictions": []}))
    write_sweep_of_runs(folder, points)
    (folder / "trials" / f"{0:016x}" / "report.html").write_text("<title>the first trial</title>")
    return write_sweep_page(load_sweep(folder))


@pytest.fixture
def page(page_of_sweep: Path, browser: Browser) -> Browser:
    browser.complaints()
    browser.requests()
    browser.show(page_of_sweep)
    browser.wait("sweep.scatter.points.length > 0")
    return browser


def choose(page: Browser, label: str, option: str) -> None:
    """Pick an option of the select with this name."""
    script = (
        "const select = document.querySelector(`select[aria-label='${arguments[0]}']`);"
        "select.value = [...select.options].find((one) => one.textContent === arguments[1]).value;"
        "select.dispatchEvent(new Event('change'))"
    )
    page.run(script, label, option)


def test_nothing_leaves_the_page_and_nothing_goes_wrong(page_of_sweep: Path, page: Browser) -> None:
    page.run("document.querySelectorAll('button').forEach((button) => button.click())")
    every = (
        "for (const select of document.querySelectorAll('select')) {"
        "select.value = select.options.length - 1; select.dispatchEvent(new Event('change')); }"
    )
    page.run(every)
    assert page.requests() == [page_of_sweep.as_uri()] and page.complaints() == []


def test_the_filter_holds_for_every_picture(page: Browser) -> None:
    counts = (
        "return [sweep.scatter.points.length, sweep.bands.shown().length,"
        " [...sweep.heat.cells().values()].reduce((sum, one) => sum + one.all, 0), sweep.trials.shown().length,"
        " document.querySelectorAll('#differences tbody tr').length]"
    )
    assert page.run(counts) == [56, 29, 57, 57, 14]
    choose(page, "optimizer", "sgd")
    assert page.run(counts)[:4] == [28, 14, 28, 28]
    assert page.run("return document.getElementById('filtered').textContent") == "28 of 57 trials."
    choose(page, "optimizer", "all")
    choose(page, "seed", "1")
    assert page.run(counts) == [28, 29, 28, 28, 14]


def test_points_have_the_colour_of_a_column(page: Browser) -> None:
    colours = "return [...document.querySelectorAll('#scatter path.marks')].map((one) => one.style.fill)"
    shapes = (
        "return [...document.querySelectorAll('#scatter path.marks')].map((one) => one.getAttribute('d').slice(-8))"
    )
    assert page.run(colours) == ["var(--s0)", "var(--s1)"] and len(set(page.run(shapes))) == 2
    choose(page, "Colour by", "lr")
    assert len(page.run(colours)) > 4 and all("color-mix" in one for one in page.run(colours))
    said = page.run("return document.querySelector('#scatter [data-left]').textContent")
    assert said == "56 of 57 trials are drawn. 1 are not complete."


def test_any_measure_stands_against_any_on_both_kinds_of_axes(page: Browser) -> None:
    choose(page, "Across", "lr")
    choose(page, "Up", "accuracy, test")
    assert page.run("return [sweep.scatter.ends.x.name, sweep.scatter.isLog.x]") == ["lr", True]
    before = page.run("return sweep.scatter.points.map((point) => point.x)")
    page.run("document.querySelector('#scatter button').click()")
    assert page.run("return sweep.scatter.points.map((point) => point.x)") != before


def test_the_keyboard_tells_a_trial_and_opens_it(page: Browser) -> None:
    page.run("document.querySelector('#scatter svg[tabindex]').focus()")
    page.press("\ue014")
    said = page.run("return document.querySelector('#scatter .tip').textContent").splitlines()
    assert said[0].startswith("optimizer sgd, lr 0.01, seed 0") and said[2].startswith("nc1_quotient 0.04")
    page.press("\ue007")
    page.wait("document.title === 'the first trial'")


def test_bands_have_a_line_and_an_interval_for_each_setting(page: Browser) -> None:
    choose(page, "lr", "0.01")
    assert page.run("return document.querySelectorAll('#bands path.band').length") == 2
    page.run("document.querySelector('#bands svg[tabindex]').focus()")
    page.press("\ue014")
    said = page.run("return document.querySelector('#bands .tip').textContent").splitlines()
    assert said[0] == "epoch 2" and said[1].startswith("sgd, lr 0.01 (n = 2): ") and " ± " in said[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_written_has_contrast(page_of_sweep: Path, browser: Browser, scheme: str) -> None:
    browser.show(page_of_sweep, prefers_color_scheme=scheme)
    browser.run("for (const folded of document.querySelectorAll('details')) folded.open = true")
    seen, low = browser.run(CONTRAST)
    assert seen > 150 and low == []


def test_a_phone_scrolls_tables_alone(page_of_sweep: Path, browser: Browser) -> None:
    browser.show(page_of_sweep, width=390, height=844)
    browser.wait("sweep.scatter.points.length > 0")
    assert browser.run("return document.documentElement.scrollWidth") <= 390


def test_it_prints(page: Browser) -> None:
    sheet = base64.b64decode(page.command("Page.printToPDF", printBackground=True)["data"])
    assert sheet.startswith(b"%PDF") and len(sheet) > 30_000


def test_hostile_arms_are_text(tmp_path: Path, browser: Browser) -> None:
    points: list[Any] = [
        ({"arm": name, "other <b>": other}, seed, {}) for name in HOSTILE for other in (1, 2) for seed in (0, 1)
    ]
    page = write_sweep_page(load_sweep(write_sweep_of_runs(tmp_path / "<b>sweep", points)))
    for width in (390, 1200):
        browser.complaints()
        browser.show(page, width=width, height=844)
        browser.wait("sweep.scatter.points.length > 0")
        assert browser.run("return window.hit ?? null") is None and browser.complaints() == []
        assert browser.run("return document.documentElement.scrollWidth") <= width
    assert HOSTILE[0] in browser.run("return document.querySelector('#trials').textContent")

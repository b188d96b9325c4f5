"""The page in a real browser: it moves, answers to mouse and keyboard, is read by everybody, and asks for nothing."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CONTRAST, Browser
from made_runs import write_picture, write_run
from numpy.typing import NDArray
from small_runs import network

from nc_bench import Run, load_run, run_training
from nc_bench.reports import write_page

pytestmark = pytest.mark.slow

POSITIONS = "return Array.from(simplex.between(simplex.place).train)"
DRAWN = "return simplex.panels.map((panel) => panel.points.length)"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A trained run of digits, whose features are kept too."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    return run_training(network(training={"epochs": 12}, record={"features": True, "layers": "all"}), folder)


@pytest.fixture
def page(run: Run, browser: Browser) -> Browser:
    """The run's page, at its last epoch, with nothing said so far."""
    browser.complaints()
    browser.requests()
    browser.show(run.path / "report.html")
    return browser


def test_nothing_leaves_the_page_and_nothing_goes_wrong(run: Run, page: Browser) -> None:
    page.run("document.querySelectorAll('button').forEach((button) => button.click())")
    page.wait("document.querySelectorAll('svg').length > 5")
    assert page.requests() == [(run.path / "report.html").as_uri()]
    assert page.complaints() == []
    assert (run.path / "report.html").stat().st_size < 3e6


def projected(means: NDArray[np.float64], four: list[int]) -> NDArray[np.float64]:
    """Class means in the span of four of them, turned towards a regular simplex (Helmert's basis)."""
    column, row = np.arange(1, 4), np.arange(4)[:, None]
    target = np.where(row < column, 1.0, np.where(row == column, -column, 0.0)) / np.sqrt(column * (column + 1))
    centre = means[four].mean(0)
    left, _, right = np.linalg.svd((means[four] - centre).T @ target, full_matrices=False)
    return np.asarray((means - centre) @ left @ right)


@pytest.mark.parametrize("four", [[0, 1, 2, 3], [7, 2, 9, 4]])
def test_the_last_means_are_those_that_were_recorded(run: Run, page: Browser, four: list[int]) -> None:
    last = int(run.manifest["epochs_done"])
    arrays = run.load_features(last, "train")
    features, labels = arrays["features.penultimate"].astype(np.float64), arrays["labels"]
    means = np.stack([features[labels == label].mean(0) for label in range(10)])
    expected = projected(means, four)
    for corner, label in enumerate(four):
        page.run("player.choose(arguments[0], arguments[1])", corner, label)
    shown = np.array(page.run("return Array.from(simplex.between(simplex.place).means)")).reshape(10, 3)
    assert np.abs(shown - expected).max() < 1e-6 * np.abs(expected).max()
    assert page.run("return simplex.motion.frames[simplex.place].epoch") == last


def test_the_slider_and_play_move_the_points(page: Browser) -> None:
    end = np.array(page.run(POSITIONS))
    slider = (
        "const s = document.querySelector('[data-motion=slider]'); s.value = 0; s.dispatchEvent(new Event('input'))"
    )
    page.run(slider)
    page.wait("simplex.place === 0")
    start = np.array(page.run(POSITIONS))
    assert start.shape == end.shape and np.abs(start - end).max() > 0.1 * np.abs(end).max()
    assert page.run("return document.querySelector('[data-motion=epoch]').textContent") == "epoch 1"
    page.run("document.querySelector('[data-motion=play]').click()")
    page.wait("simplex.place > 0 && simplex.place % 1 > 0")
    page.wait("!player.playing && simplex.place === simplex.motion.frames.length - 1")
    np.testing.assert_array_equal(page.run(POSITIONS), end)


def test_classes_and_parts_are_switched_off_and_on(page: Browser) -> None:
    train, test = page.run(DRAWN)
    of_class = page.run(
        "return simplex.panels.map((panel) => panel.points.filter((point) => point.label === 3).length)"
    )
    page.run("document.querySelector('[data-class=\"3\"]').click()")
    assert page.run(DRAWN) == [train - of_class[0], test - of_class[1]] and min(of_class) > 3
    page.run("document.querySelector('[data-class=\"3\"]').click()")
    assert page.run(DRAWN) == [train, test]
    page.run("document.querySelector('[data-part=samples]').click()")
    assert page.run(DRAWN) == [30, 30]


def test_the_polygon_is_regular(page: Browser) -> None:
    page.run("document.querySelector('[data-view=polygon]').click()")
    corners = np.array(page.run("return Array.from(simplex.between(simplex.place).vertices)")).reshape(10, 3)
    angles = np.unwrap(np.arctan2(corners[:, 1], corners[:, 0]))
    np.testing.assert_allclose(np.diff(angles), 2 * np.pi / 10, rtol=0, atol=1e-5)
    assert not corners[:, 2].any()


def test_the_pointer_turns_it_and_tells_samples(run: Run, page: Browser) -> None:
    turn = page.run("return [simplex.look.turn.yaw, simplex.look.turn.pitch]")
    box = page.run(
        "const c = document.querySelector('canvas'); c.scrollIntoView({block: 'center'});"
        "const r = c.getBoundingClientRect(); return [r.left, r.top, r.width]"
    )
    x, y = box[0] + box[2] / 2, box[1] + box[2] / 2
    for kind, dx in (("mousePressed", 0), ("mouseMoved", 80), ("mouseReleased", 80)):
        page.command("Input.dispatchMouseEvent", type=kind, x=x + dx, y=y, button="left", buttons=1, clickCount=1)
    assert page.run("return simplex.look.turn.yaw") == pytest.approx(turn[0] + 80 / 130)
    at = page.run(
        "const p = simplex.panels[0].points.find((point) => point.kind === 'samples'); return [p.x, p.y, p.label]"
    )
    page.run(
        "for (const box of document.querySelectorAll('[data-part]')) if (box.dataset.part !== 'samples') box.click()"
    )
    page.command("Input.dispatchMouseEvent", type="mouseMoved", x=box[0] + at[0], y=box[1] + at[1])
    said = page.run("return document.querySelector('canvas ~ .tip').textContent")
    assert said.startswith("class ") and "sample " in said and f"epoch {run.manifest['epochs_done']}" in said
    assert "distance to its vertex" in said


def test_curves_tell_values_zoom_and_change_their_axis(page: Browser) -> None:
    plot = "document.querySelector('[data-chart=risk] svg')"
    page.run(f"{plot}.focus()")
    page.press("\ue014", "\ue014")
    said = page.run("return document.querySelector('[data-chart=risk] .tip').textContent")
    assert said.splitlines()[0] == "epoch 3" and "risk: " in said
    page.press("+")
    assert not page.run("return document.querySelector('[data-chart=risk] .controls').lastChild.hidden")
    page.press("\ue00c")
    assert page.run("return document.querySelector('[data-chart=risk] .controls').lastChild.hidden")
    before = page.run(f"return {plot}.querySelector('path').getAttribute('d')")
    page.run("document.querySelector('[data-chart=risk] .controls button').click()")
    assert page.run(f"return {plot}.querySelector('path').getAttribute('d')") != before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_written_has_contrast(run: Run, browser: Browser, scheme: str) -> None:
    browser.show(run.path / "report.html", prefers_color_scheme=scheme)
    browser.run("for (const folded of document.querySelectorAll('details')) folded.open = true")
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    seen, low = browser.run(CONTRAST)
    assert seen > 300 and low == []


def test_a_phone_shows_the_verdict_and_needs_no_scrolling_to_the_side(run: Run, browser: Browser) -> None:
    browser.show(run.path / "report.html", width=390, height=844)
    browser.wait("document.querySelector('canvas').width > 0")
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    glance = browser.run("return document.querySelector('.glance > div').getBoundingClientRect().toJSON()")
    assert glance["bottom"] < 844 and glance["right"] <= 390
    badges = browser.run(
        "return [...document.querySelectorAll('.claims .verdict')].map((v) => v.getBoundingClientRect().right)"
    )
    assert len(badges) > 5 and max(badges) <= 390
    assert browser.run("return parseFloat(getComputedStyle(document.querySelector('.claims td')).fontSize)") >= 12
    tops = browser.run("return [...document.querySelectorAll('canvas')].map((c) => c.getBoundingClientRect().top)")
    assert tops[1] > tops[0] + 300


def test_the_keyboard_is_enough(page: Browser) -> None:
    named = "return document.activeElement.dataset.motion ?? document.activeElement.dataset.view ?? ''"
    page.press("\ue004")
    assert page.run(named) == "play"
    page.press("\ue004", "\ue011")
    page.wait("simplex.place === 0")
    page.press("\ue014")
    page.wait("simplex.place === 1")
    reached = []
    for _ in range(12):
        page.press("\ue004")
        reached.append(page.run("const a = document.activeElement; return a.tagName + (a.dataset.class ?? '')"))
    assert "CANVAS" in reached and "BUTTON" in reached and "INPUT0" in reached
    page.run("document.querySelector('canvas').focus()")
    before = page.run("return simplex.look.turn.yaw")
    page.press("\ue014")
    assert page.run("return simplex.look.turn.yaw") > before


def test_who_wants_no_motion_sees_whole_epochs_only(run: Run, browser: Browser) -> None:
    browser.show(run.path / "report.html", prefers_reduced_motion="reduce")
    browser.run("window.places = []; player.listeners.push(() => places.push(simplex.place)); player.show(0)")
    browser.run("document.querySelector('[data-motion=play]').click()")
    browser.wait("!player.playing && simplex.place > 1", 60)
    assert browser.run("return places.every((place) => Number.isInteger(place)) && places.length > 3")


def test_it_prints(page: Browser) -> None:
    sheet = base64.b64decode(page.command("Page.printToPDF", printBackground=True)["data"])
    assert sheet.startswith(b"%PDF") and len(sheet) > 30_000
    page.command("Emulation.setEmulatedMedia", media="print")
    look = "return ['thead', 'tbody tr', '.controls'].map((s) => getComputedStyle(document.querySelector(s)))"
    head, row, controls = page.run(
        f"{look.replace('return', 'const found =')}; return found.map((s) => [s.display, s.breakInside])"
    )
    assert (head[0], row[1], controls[0]) == ("table-header-group", "avoid", "none")


def test_hostile_names_are_text(tmp_path: Path, browser: Browser) -> None:
    names = [
        "</script><script>window.hit = 1</script>",
        "<img src=x onerror='window.hit = 1'>",
        "\"'&",
        "\u202eabc",
        "n" * 200,
    ]
    made = write_run(tmp_path / "<b>run", manifest={"classes": 5, "class_names": names, "status": names[0]})
    write_picture(made, epoch=1, classes=5, spread=0.5)
    write_picture(made, epoch=300, classes=5, spread=0.1)
    browser.complaints()
    browser.show(write_page(load_run(made.path)), width=390, height=844)
    browser.wait("window.simplex && simplex.panels[0].points.length > 0")
    assert browser.run("return window.hit ?? null") is None and browser.complaints() == []
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    assert names[0] in browser.run("return document.querySelector('#motion').textContent")


def test_features_that_coincide_are_said(tmp_path: Path, browser: Browser) -> None:
    made: Any = write_run(tmp_path / "run")
    write_picture(made, epoch=300, classes=4, spread=0.0, means=0.0)
    browser.complaints()
    browser.show(write_page(load_run(made.path)))
    browser.wait("window.simplex && simplex.panels[0].points.length > 0")
    assert "All class means coincide" in browser.run("return document.querySelector('[data-motion=scale]').textContent")
    assert browser.complaints() == []


def test_the_page_of_a_run_that_goes_on_loads_itself_while_nobody_reads_it(
    tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nc_bench.reports.page.document.RELOAD_SECONDS", 0.4)
    page = write_page(write_run(tmp_path / "run", manifest={"status": "running"}), is_running=True)
    browser.complaints()
    browser.requests()
    browser.show(page)
    browser.wait("performance.getEntriesByType('navigation')[0].type === 'reload'")
    browser.run("document.getElementById('reloading').click(); window.stays = true")
    browser.wait("performance.now() > 1500")
    assert browser.run("return window.stays && !document.getElementById('reloading')")
    assert set(browser.requests()) == {page.as_uri()} and browser.complaints() == []

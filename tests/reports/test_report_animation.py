"""The simplex appearing, as a file."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_runs import write_picture
from PIL import Image

from nc_bench import Run
from nc_bench.report import main
from nc_bench.reports import animation
from nc_bench.reports.animation import write_animation
from nc_bench.reports.film import gif
from nc_bench.reports.film_panel import film_colours
from nc_bench.reports.pictures import pictures
from nc_bench.reports.scene import in_span, on_polygon
from nc_bench.runs import RunError

MakeRun = Callable[..., Run]

FAKE = """#!/bin/sh
exec "{python}" -c '
import sys
given = sys.stdin.buffer.read()
open(sys.argv[-1], "wb").write(str(len(given)).encode())
' "$@"
"""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Few frames, and no ffmpeg but that of a test."""
    monkeypatch.setattr(animation, "START", 1)
    monkeypatch.setattr(animation, "MOVING", 4)
    monkeypatch.setattr(animation, "END", 2)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def moving(make_run: MakeRun, classes: int = 10, **changes: float) -> Run:
    run = make_run(manifest={"classes": classes, "class_names": [f"$n_{label}" for label in range(classes)]})
    for epoch, spread in ((1, 0.6), (300, 0.05)):
        write_picture(run, epoch=epoch, classes=classes, spread=spread, **changes)
    return run


def program(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "ffmpeg").write_text(text)
    (folder / "ffmpeg").chmod(0o755)


@pytest.mark.parametrize("classes", [2, 10, 60])
def test_samples_come_to_the_vertices(make_run: MakeRun, classes: int) -> None:
    (path,), missing = write_animation(moving(make_run, classes))
    assert missing == "simplex.mp4 is left out: ffmpeg is not installed" and path.stat().st_size < 1e6
    with Image.open(path) as film:
        frames = []
        for number in range(getattr(film, "n_frames", 1)):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB"), int))
        assert film.info["loop"] == 0 and film.size == (800, 452)
    start, end = frames[0], frames[-1]
    assert len(frames) == 7 and np.abs(start - end).sum() > 0
    assert not np.abs(frames[-1][:, 404:] - frames[-2][:, 404:]).any()  # the polygon stands, and the camera goes on
    assert np.abs(frames[-1][:, :404] - frames[-2][:, :404]).any()


def test_a_frame_is_drawn_in_the_colours_of_the_page() -> None:
    colours = film_colours(10)
    random = np.random.default_rng(0)
    frames = [colours[random.integers(len(colours), size=(20, 30))] for _ in range(3)]
    with Image.open(io.BytesIO(gif(frames, 10, colours))) as film:
        for number, frame in enumerate(frames):
            film.seek(number)
            shown = np.asarray(film.convert("RGB"), int)
            assert np.abs(shown - frame).max() <= 8  # Pillow looks for the nearest colour in steps of some bits
    assert (47, 127, 201) in set(map(tuple, colours.tolist()))  # --c0 of page.css


def test_the_span_is_turned_to_a_regular_simplex(make_run: MakeRun) -> None:
    picture = pictures(moving(make_run))[-1]
    scene = in_span(picture, [7, 2, 9, 4])
    chosen, others = scene.means[[7, 2, 9, 4]], np.delete(scene.means, [7, 2, 9, 4], axis=0)
    # Made means are 1.1 times the vertices, so that four of them are a tetrahedron around the origin.
    np.testing.assert_allclose(chosen @ chosen.T, 1.21 * (np.eye(4) - 0.25), rtol=0, atol=1e-12)
    np.testing.assert_allclose(others, 0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(scene.weight, axis=1), np.linalg.norm(scene.means, axis=1), atol=1e-12)
    turned = scene.turned(0.3, -0.8)
    np.testing.assert_allclose(turned.means @ turned.means.T, scene.means @ scene.means.T, rtol=0, atol=1e-12)
    flat = on_polygon(picture)
    np.testing.assert_allclose(np.linalg.norm(flat.vertices, axis=1), 1, rtol=0, atol=1e-12)
    assert not flat.samples[:, 2].any()


def test_half_way_is_half_way(make_run: MakeRun) -> None:
    first, last = (on_polygon(picture) for picture in pictures(moving(make_run)))
    between = first.moved_to(last, 0.25)
    np.testing.assert_allclose(between.samples, 0.75 * first.samples + 0.25 * last.samples, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("error")
def test_features_that_coincide_make_no_noise(make_run: MakeRun) -> None:
    write_animation(moving(make_run, means=0.0))


def test_one_picture_is_no_animation(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run()
    write_picture(run, epoch=3, classes=10, spread=0.1)
    with pytest.raises(RunError, match="takes pictures of two epochs, and 1 can be drawn"):
        write_animation(run)
    assert main([str(run.path), "--animation"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="the program that the test writes is a script")
def test_an_mp4_where_there_is_ffmpeg(make_run: MakeRun, tmp_path: Path) -> None:
    program(tmp_path / "bin", FAKE.format(python=sys.executable))
    (_, film), missing = write_animation(moving(make_run))
    assert missing == "" and film.name == "simplex.mp4" and film.read_text() == str(7 * 800 * 452 * 3)


@pytest.mark.skipif(os.name == "nt", reason="the program that the test writes is a script")
def test_an_ffmpeg_that_fails_is_one_line(make_run: MakeRun, tmp_path: Path) -> None:
    program(tmp_path / "bin", "#!/bin/sh\necho 'Unknown encoder\nlibx264' >&2\nexit 1\n")
    run = moving(make_run)
    (path,), missing = write_animation(run)
    assert missing == "simplex.mp4 is left out: ffmpeg failed (Unknown encoder libx264)" and path.exists()
    assert not list((run.path / "figures").glob("*.mp4"))

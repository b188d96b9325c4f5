"""The simplices of several runs side by side: their pictures as data for the page's script, on one slider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

import numpy as np

from nc_bench.config.training import PICTURES, log_spaced
from nc_bench.reports.page.motion import NO_PICTURE, canvas, class_controls, motion_data, view_controls
from nc_bench.reports.pictures import Picture, Points, pictures
from nc_bench.runs import RunTables

BUDGET = 2_000_000
"""Bytes that the samples of all runs may take on the page together."""

FEWEST = 40
"""Samples of a split that a run keeps however many runs there are."""


def side_by_side(runs: Sequence[RunTables]) -> dict[str, Any] | None:
    """For each run its motion (None without pictures) and the picture that it shows at each place of the slider.

    The slider stands at log-spaced ones of the epochs of which any run has a picture; a run shows its last picture at
    or before that epoch, before its first one that one. None if no run has a picture.
    """
    recorded = [pictures(run) for run in runs]
    motions = [motion_data(run, _fewer(own, len(runs))) for run, own in zip(runs, recorded, strict=True)]
    frames = [[frame["epoch"] for frame in motion["frames"]] if motion else [] for motion in motions]
    epochs = log_spaced(sorted({epoch for own in frames for epoch in own}), PICTURES)
    if not epochs:
        return None
    stops = [[max(sum(at <= epoch for at in own) - 1, 0) for epoch in epochs] for own in frames]
    return {"epochs": list(epochs), "motions": motions, "stops": stops}


def _fewer(recorded: Sequence[Picture], runs: int) -> list[Picture]:
    """The same with fewer samples, the same ones at every epoch, if those of all runs would make a large page."""
    if not recorded:
        return []
    width = recorded[-1].means.coordinates.shape[1]
    of_a_sample = (2 * (width + 2) + 4) * 4 / 3 * len(recorded)
    most = max(FEWEST, int(BUDGET / (2 * runs * of_a_sample)))
    return [replace(one, train=_thinned(one.train, most), test=_thinned(one.test, most)) for one in recorded]


def _thinned(points: Points, most: int) -> Points:
    """At most so many samples, evenly taken from the classes."""
    if len(points.labels) <= most:
        return points
    places = np.linspace(0, len(points.labels) - 1, most).round().astype(int)
    kept = np.sort(np.argsort(points.labels, kind="stable")[places])
    return Points(**{name: values[kept] for name, values in vars(points).items()})


def side_by_side_section(data: dict[str, Any] | None, names: Sequence[str]) -> list[str]:
    """The heading, the controls of all, and a panel for each run; a line that says why there are none."""
    if data is None:
        return ["<h2>The simplices</h2>", f'<p class="empty">{NO_PICTURE}</p>']
    drawn = [motion for motion in data["motions"] if motion]
    last = len(data["epochs"]) - 1
    largest = max(drawn, key=lambda motion: motion["shown"]) | {"hasWeight": any(one["hasWeight"] for one in drawn)}
    panels = [_panel(at, name, motion) for at, (name, motion) in enumerate(zip(names, data["motions"], strict=True))]
    return [
        '<section id="motion" aria-labelledby="motion-head">',
        '<h2 id="motion-head">The simplices side by side</h2>',
        f"<p>{escape(_about(drawn))}</p>",
        '<div class="controls motion-time"><button type="button" data-motion="play">Play</button>'
        f'<input type="range" data-motion="slider" min="0" max="{last}" value="{last}" step="1" aria-label="Epoch">'
        '<output data-motion="epoch"></output></div>',
        *view_controls(largest),
        *class_controls(_class_names(drawn)),
        f'<div class="many">{"".join(panels)}</div>',
        "</section>",
    ]


def _about(drawn: Sequence[dict[str, Any]]) -> str:
    places = {motion["predicted"] for motion in drawn}
    where = {
        frozenset({True}): "at the radius that theory predicts for the run",
        frozenset({False}): "at the mean radius of the class means",
    }.get(frozenset(places), "at the radius that theory predicts for the run, or else the mean radius of its means")
    return (
        "Dots: samples, in the colour of their class. Discs: class means of the training samples. Triangles: rows of "
        f"W. Rings: the vertices of the nearest regular simplex, {where}. Each run is drawn at a scale of its own. "
        "Where a run kept no picture of an epoch its last one before is shown, and its epoch is said."
    )


def _class_names(drawn: Sequence[dict[str, Any]]) -> list[str]:
    """The names of the classes where the runs agree on them, else their numbers."""
    shown = max(motion["shown"] for motion in drawn)
    given = [{motion["names"][label] for motion in drawn if label < motion["shown"]} for label in range(shown)]
    return [next(iter(names)) if len(names) == 1 else str(label) for label, names in enumerate(given)]


def _panel(at: int, name: str, motion: dict[str, Any] | None) -> str:
    head = f'<article data-run="{at}"><h3>{escape(name)}</h3>'
    if motion is None:
        return f'{head}<p class="empty">{NO_PICTURE}</p></article>'
    figures = "".join(f'<div data-samples="{split["name"]}">{canvas(split)}</div>' for split in motion["splits"])
    missing = {"train", "test"} - {split["name"] for split in motion["splits"]}
    none = "".join(f'<p class="empty" data-samples="{split}">No samples of this split.</p>' for split in missing)
    said = '<output class="soft" data-run-epoch></output><p class="soft" data-motion="scale"></p>'
    return f"{head}{figures}{none}{said}</article>"

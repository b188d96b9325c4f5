"""The simplex in motion: the pictures of a run as data for the page's script, and the controls around them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nc_bench.reports.pictures import Corners, Picture
from nc_bench.runs import RunTables
from nc_bench.text import BIDI, plain, shortened

LONGEST_NAME = 200
TITLES = {"train": "Training samples", "test": "Test samples"}
SPATIAL = 4
"""Classes whose means span three dimensions."""

PARTS = {"samples": "samples", "means": "class means", "weight": "rows of W", "vertices": "vertices"}


def class_labels(run: RunTables, classes: int) -> list[str]:
    """The name of each class, as text that turns no other text."""
    names = run.manifest.get("class_names") or []
    given = [str(names[label]) if label < len(names) else str(label) for label in range(classes)]
    return [shortened(plain(name), LONGEST_NAME).translate(dict.fromkeys(map(ord, BIDI), "\ufffd")) for name in given]


def motion_data(run: RunTables, recorded: Sequence[Picture]) -> dict[str, Any] | None:
    """Every picture within float32, its arrays as base64 of their bytes; None if there is none."""
    recorded = [picture for picture in recorded if is_drawable(picture)]
    if not recorded:
        return None
    last = recorded[-1]
    classes = len(last.means.polygon)
    splits = [name for name in TITLES if len(getattr(last, name).labels)]
    return {
        "classes": classes,
        "shown": len(last.means.coordinates),
        "width": last.means.coordinates.shape[1],
        "names": class_labels(run, classes),
        "predicted": last.predicted,
        "hasWeight": len(last.weight.coordinates) > 0,
        "splits": [
            {
                "name": name,
                "title": TITLES[name],
                "labels": packed(getattr(last, name).labels, np.int32),
                "rows": packed(getattr(last, name).rows, np.int32),
            }
            for name in splits
        ],
        "frames": [_frame(picture) for picture in recorded],
    }


def is_drawable(picture: Picture) -> bool:
    """Whether all of a picture is within float32."""
    largest = np.finfo(np.float32).max
    parts = [part.coordinates for part in (picture.means, picture.weight, picture.vertices)] + [picture.scale * 32767]
    return all(bool((np.abs(part) < largest).all()) for part in parts)


def _frame(picture: Picture) -> dict[str, Any]:
    frame: dict[str, Any] = {
        "epoch": picture.epoch,
        "scale": picture.scale.tolist(),
        "radius": _mean_length(picture.vertices),
        "weightScale": _mean_length(picture.means) / (_mean_length(picture.weight) or 1.0) or 1.0,
    }
    for name in ("train", "test"):
        points = getattr(picture, name)
        frame[name] = packed(points.coordinates, np.int16)
        frame[f"{name}Polygon"] = packed(points.polygon, np.int16)
        frame[f"{name}Distance"] = packed(points.distance, np.float32)
    for name in ("means", "weight", "vertices"):
        corners: Corners = getattr(picture, name)
        frame[name] = packed(corners.coordinates, np.float32)
        frame[f"{name}Polygon"] = packed(corners.polygon, np.float32)
    return frame


def _mean_length(corners: Corners) -> float:
    return float(np.linalg.norm(corners.coordinates, axis=1).mean()) if len(corners.coordinates) else 0.0


def packed(values: NDArray[Any], kind: type[np.generic]) -> str:
    """Little-endian bytes, as every browser's typed arrays have them on the machines that there are."""
    return base64.b64encode(values.astype(np.dtype(kind).newbyteorder("<")).tobytes()).decode()


def motion_section(data: dict[str, Any] | None) -> list[str]:
    """The heading, controls and canvases; a line that says why there are none."""
    if data is None:
        return ["<h2>The simplex</h2>", f'<p class="empty">{NO_PICTURE}</p>']
    canvases = "\n".join(canvas(split) for split in data["splits"])
    last = len(data["frames"]) - 1
    return [
        '<section id="motion" aria-labelledby="motion-head">',
        '<h2 id="motion-head">The simplex in motion</h2>',
        f"<p>{escape(_about(data))}</p>",
        '<div class="controls motion-time"><button type="button" data-motion="play">Play</button>'
        f'<input type="range" data-motion="slider" min="0" max="{last}" value="{last}" step="1" aria-label="Epoch">'
        '<output data-motion="epoch"></output></div>',
        *view_controls(data),
        f'<div class="pair">{canvases}</div>',
        *class_controls(data["names"][: data["shown"]]),
        '<p class="soft" data-motion="scale" aria-live="polite"></p>',
        "</section>",
    ]


NO_PICTURE = (
    "No picture of the features was kept: the run recorded nothing, <code>record.picture</code> is off, or a class has "
    "no samples or no finite mean."
)


def _about(data: dict[str, Any]) -> str:
    where = (
        "at the radius that theory predicts"
        if data["predicted"]
        else "at the mean radius of the class means, since none is predicted for this run"
    )
    few = ""
    if data["classes"] > data["shown"]:
        few = f" In space the first {data['shown']} of {data['classes']} classes can be seen, on the polygon all."
    triangles = "Triangles: rows of the last layer W. " * data["hasWeight"]
    return (
        "Dots: samples, in the colour of their class. Discs: class means of the training samples. "
        f"{triangles}Rings: the vertices of the nearest regular simplex, {where}. After collapse every dot lies "
        f"in the ring of its class.{few}"
    )


def view_controls(data: dict[str, Any]) -> list[str]:
    space = "in space" if data["shown"] <= SPATIAL else "four classes, in space"
    views = [
        f'<button type="button" data-view="space" aria-pressed="true">{space}</button>',
        '<button type="button" data-view="polygon" aria-pressed="false">all classes, as a polygon</button>',
    ]
    parts = [
        f'<label class="mark"><input type="checkbox" data-part="{part}" checked>{words}</label>'
        for part, words in PARTS.items()
        if part != "weight" or data["hasWeight"]
    ]
    fit = '<label class="mark"><input type="checkbox" data-motion="fit">scale each epoch to its means</label>'
    return [
        f'<div class="controls" role="group" aria-label="View">{"".join(views)}</div>',
        f'<div class="controls"><fieldset><legend>Shown</legend>{"".join(parts)}{fit}</fieldset></div>',
        f'<p class="soft" data-only="space">Drag a picture to turn it, or use the arrow keys on it. {_span(data)}</p>',
    ]


def _span(data: dict[str, Any]) -> str:
    """What is seen in space."""
    if data["shown"] > SPATIAL:
        return "It is the span of the means of the four classes chosen below it; other classes are drawn faintly."
    if data["shown"] == SPATIAL:
        return "It is the span of the class means."
    return "It is the span of the class means, and directions across it in which the training samples spread the most."


def class_controls(names: Sequence[str]) -> list[str]:
    boxes = []
    for label, name in enumerate(names):
        boxes.append(
            f'<label class="class"><input type="checkbox" data-class="{label}" checked>'
            f'<span class="swatch" style="background: var(--c{label})"></span>'
            f'<span class="name">{escape(name)}</span></label>'
        )
    rows = [f'<div class="controls"><fieldset><legend>Classes</legend>{"".join(boxes)}</fieldset></div>']
    if len(names) > SPATIAL:
        options = "".join(f'<option value="{c}">{escape(shortened(n, 40))}</option>' for c, n in enumerate(names))
        choices = [
            f'<select data-corner="{corner}" aria-label="Class {corner + 1} of the span">'
            + options.replace(f'value="{corner}"', f'value="{corner}" selected', 1)
            + "</select>"
            for corner in range(SPATIAL)
        ]
        rows.append(
            '<div class="controls" data-only="space"><fieldset><legend>Span of the classes</legend>'
            f"{''.join(choices)}</fieldset></div>"
        )
    return rows


def canvas(split: dict[str, Any]) -> str:
    return (
        f'<figure><h3>{split["title"]}</h3><div style="position: relative">'
        f'<canvas data-split="{split["name"]}" role="img" tabindex="0"></canvas></div></figure>'
    )


def geometry_section(data: dict[str, Any] | None) -> list[str]:
    """Cosines and lengths of class means and rows of W at the epoch of the slider."""
    if data is None:
        return []
    some = f" of the first {data['shown']} classes" if data["classes"] > data["shown"] else ""
    simplex = -1 / (data["shown"] - 1)
    weight_cosines, weight_legend = [], ""
    if data["hasWeight"]:
        weight_cosines = [
            '<figure class="matrix"><h3>Cosines of the rows of W</h3><div data-cosines="weight"></div></figure>'
        ]
        weight_legend = '<li><span class="swatch" style="background: var(--s1)"></span>row of W</li>'
    return [
        '<section id="geometry" aria-labelledby="geometry-head">',
        '<h2 id="geometry-head">Angles and lengths</h2>',
        f"<p>Cosines and lengths{some}, seen from their mean, at the epoch that the slider above stands on "
        "(<b data-epoch></b>). "
        f"In a regular simplex every cosine of two classes is {simplex:.3g}, and all lengths are equal.</p>",
        '<div class="pair">',
        '<figure class="matrix"><h3>Cosines of the class means</h3><div data-cosines="means"></div></figure>',
        *weight_cosines,
        '<figure class="matrix"><h3>Lengths, relative to their mean</h3>'
        '<ul class="legend"><li><span class="swatch" style="background: var(--s0)"></span>class mean</li>'
        f"{weight_legend}</ul><div data-lengths></div></figure>",
        "</div></section>",
    ]

"""Curves and stacked areas over the epochs: as data for the page's script, and the figures that it fills."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nc_bench.reports.budget import WORDS
from nc_bench.reports.budget_areas import known_budget
from nc_bench.reports.curves import DECISIONS, POINTS, RISK, SHARES, SIMPLEX, Panel, why_empty
from nc_bench.reports.description import typed_config
from nc_bench.reports.numbers import PRECISION, number
from nc_bench.reports.pictures import Picture
from nc_bench.reports.queries import claim, curve, null_value
from nc_bench.reports.style import LARGEST
from nc_bench.runs import RunTables
from nc_bench.verdicts.laws import PARTS

Array = NDArray[np.float64]

MOST_POINTS = 400
"""Epochs that a curve shows: half of them evenly spaced, half log-spaced."""

NEAR_PRECISION = 1e4
"""The precision floor is drawn where a curve comes within this factor of it."""

SAMPLES = {"train": "training", "test": "test"}

UNRECORDED = ""
"""What the script reads in the place of a value where another curve was recorded and this one was not."""

NULL_DASH, FLOOR_DASH, TEST_DASH = "2 4", "8 3 2 3", "6 4"


@dataclass(frozen=True, kw_only=True)
class Series:
    """One curve: its name, its values at the epochs of the chart, and how it looks.

    A value is None where it is undefined, and UNRECORDED where this curve was not recorded at an epoch of others.
    run: the number of the run that it is of, where the page has several; these have one legend for all charts.
    """

    words: str
    values: list[Any]
    colour: str
    dash: str = ""
    width: float = 2.0
    in_legend: bool = True
    run: int | None = None


@dataclass(frozen=True, kw_only=True)
class Level:
    """A horizontal line that means something."""

    words: str
    value: float
    colour: str
    dash: str
    run: int | None = None


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A figure over the epochs; `empty` says why it shows nothing, `notes` what it does not show."""

    name: str
    title: str
    meaning: str
    epochs: list[float]
    series: list[Series]
    levels: list[Level]
    logarithmic: bool
    stacked: bool = False
    empty: str = ""
    notes: tuple[str, ...] = ()

    def data(self) -> dict[str, Any]:
        """What the script reads."""
        series = [vars(one) | {"faint": one.dash == TEST_DASH} for one in self.series]
        levels = [vars(level) for level in self.levels]
        plain = {"name": self.name, "epochs": self.epochs, "series": series, "levels": levels, "alt": self._spoken()}
        return plain | {"logarithmic": self.logarithmic, "canBeLog": not self.stacked, "stacked": self.stacked}

    def _spoken(self) -> str:
        ends = []
        for one in self.series:
            known = [(e, v) for e, v in zip(self.epochs, one.values, strict=True) if isinstance(v, float)]
            if known and one.in_legend:
                (first, start), (last, end) = known[0], known[-1]
                ends.append(f"{one.words} {number(start)} at epoch {first:g}, {number(end)} at epoch {last:g}")
        ends += [f"{level.words}" for level in self.levels]
        return f"{self.title}: {'; '.join(ends)}."

    def figure(self) -> str:
        """The element that the script fills, with title, meaning and legend."""
        parts = [f"<h3>{escape(self.title)}</h3>"]
        if self.empty:
            parts.append(f'<p class="empty">{escape(self.empty)}</p>')
        else:
            marks = [(s.words, s.colour, s.dash) for s in self.series if s.in_legend and s.run is None]
            marks += [(level.words, level.colour, level.dash) for level in self.levels if level.run is None]
            items = "".join(f"<li>{_mark(colour, dash, self.stacked)}{escape(w)}</li>" for w, colour, dash in marks)
            parts.append(f'<div class="soft">{escape(self.meaning)}</div><ul class="legend">{items}</ul>')
            parts.append('<div class="plot" style="position: relative"></div><div class="controls"></div>')
        parts += [f'<p class="soft">{escape(note)}</p>' for note in self.notes]
        return f'<figure class="chart" data-chart="{self.name}">{"".join(parts)}</figure>'


def _mark(colour: str, dash: str, stacked: bool) -> str:
    if stacked:
        return f'<span class="swatch" style="background: var({colour})"></span>'
    line = {"": "solid", TEST_DASH: "dashed", FLOOR_DASH: "double"}.get(dash, "dotted")
    return f'<span class="swatch line" style="border-top: 3px {line} var({colour})"></span>'


def metric_charts(run: RunTables) -> list[Chart]:
    """Risk against its floor, NC1, NC2 and NC3, NC4, and what comes of it."""
    names = {"risk": RISK, "nc1": POINTS, "nc2": SIMPLEX, "nc4": DECISIONS, "shares": SHARES}
    return [_of_panel(run, name, panel) for name, panel in names.items()]


def _of_panel(run: RunTables, name: str, panel: Panel) -> Chart:
    curves = [
        (words if words == metric else f"{words} ({metric})", split, place, curve(run, split, metric))
        for place, (metric, words) in enumerate(panel.metrics)
        for split in ("train", "test")
    ]
    if name == "risk":
        curves.append(("floor of the norms reached (risk_floor)", "train", 2, curve(run, "train", "risk_floor")))
    epochs = thinned(sorted({epoch for *_, (at, _) in curves for epoch in at.tolist()}))
    series = [
        Series(
            words=words + ", test samples" * (split == "test"),
            values=values_at(epochs, *found),
            colour=f"--s{place}",
            dash=TEST_DASH if split == "test" else "",
            width=2.2 - 0.35 * place,
        )
        for words, split, place, found in curves
    ]
    series = _named_once([one for one in series if any(value is not None for value in one.values)])
    shown = any(value is not None and (value > 0 or not panel.logarithmic) for s in series for value in s.values)
    return Chart(
        name=name,
        title=panel.title[4:],
        meaning=panel.meaning.replace("\n", " "),
        epochs=epochs,
        series=series,
        levels=_levels(run, name, panel, series),
        logarithmic=panel.logarithmic,
        empty="" if shown else why_empty(run, panel),
    )


def _named_once(series: Sequence[Series]) -> list[Series]:
    """The same, test curves out of the legend where their training curve is in it."""
    solid = {one.colour for one in series if not one.dash}
    return [replace(one, in_legend=not one.dash or one.colour not in solid) for one in series]


def _levels(run: RunTables, name: str, panel: Panel, series: Sequence[Series]) -> list[Level]:
    levels = []
    if name == "risk":
        predicted = float(claim(run, "risk").get("predicted", math.nan))
        levels.append(
            Level(words=f"predicted minimum {number(predicted)}", value=predicted, colour="--ink", dash="8 4")
        )
    for place, (metric, words) in enumerate(panel.metrics):
        level = null_value(run, metric)
        said = f"random directions, {words} {number(level, 2)}"
        levels.append(Level(words=said, value=level, colour=f"--s{place}", dash=NULL_DASH))
    if name in ("nc1", "nc2"):
        dtype = typed_config(run).dtype
        floor = PRECISION[dtype] ** 2 if name == "nc1" else PRECISION[dtype]
        least = min((v for s in series for v in s.values if v), default=math.inf)
        if least < NEAR_PRECISION * floor:
            said = f"rounding of {dtype} features, about {number(floor, 2)}"
            levels.append(Level(words=said, value=floor, colour="--soft", dash=FLOOR_DASH))
    return [level for level in levels if math.isfinite(level.value) and abs(level.value) <= LARGEST]


def budget_charts(run: RunTables) -> list[Chart]:
    """What is missing of the budget on both splits, and the shares of the parts it is lost to, stacked."""
    known = known_budget(run)
    if not known:
        return []
    epochs = thinned(sorted({epoch for lost in known.values() for epoch in lost.epochs.tolist()}))
    totals = [
        Series(
            words=f"{SAMPLES[split]} samples",
            values=values_at(epochs, lost.epochs, np.where(lost.in_nats, math.nan, lost.total)),
            colour="--s0",
            dash=TEST_DASH if split == "test" else "",
        )
        for split, lost in known.items()
    ]
    shown = any(value for one in totals for value in one.values)
    charts = [
        Chart(
            name="missing",
            title="How much is missing",
            meaning="-log of simplex_efficiency",
            epochs=epochs,
            series=totals,
            levels=[],
            logarithmic=True,
            empty="" if shown else "nothing is missing, or an efficiency is not positive throughout",
        )
    ]
    for split, lost in known.items():
        shares = [
            Series(words=WORDS[part], values=values_at(epochs, lost.epochs, lost.shares[:, at]), colour=f"--p{at}")
            for at, part in enumerate(PARTS)
        ]
        title = f"What it is lost to, {SAMPLES[split]} samples"
        charts.append(
            Chart(
                name=f"lost-{split}",
                title=title,
                meaning="shares of what is missing",
                epochs=epochs,
                series=shares,
                levels=[],
                logarithmic=False,
                stacked=True,
            )
        )
    return charts


def singular_chart(recorded: Sequence[Picture]) -> list[Chart]:
    """Singular values of the centred class means and rows of W at the epochs with a picture, relative to their mean."""
    if len(recorded) < 2:
        return []
    series = []
    for name, words, colour in (("means", "class means", "--s0"), ("weight", "rows of W", "--s1")):
        if not len(getattr(recorded[-1], name).coordinates):
            continue  # no last layer was measured
        table = np.array([_singular(picture, name) for picture in recorded])
        for place, column in enumerate(table.T):
            last = len(table.T) - 1
            series.append(
                Series(
                    words=words if place == 0 else f"{words}, {'smallest' if place == last else f'no. {place + 1}'}",
                    values=finite(column),
                    colour=colour,
                    width=1.3,
                    in_legend=place == 0,
                )
            )
    few = len(recorded[-1].means.coordinates) < len(recorded[-1].means.polygon)
    which = f" of the first {len(recorded[-1].means.coordinates)} classes" * few
    return [
        Chart(
            name="singular",
            title=f"Singular values of class means and W{which}",
            meaning="relative to their mean, seen from the centre; all are 1 in a regular simplex",
            epochs=[float(picture.epoch) for picture in recorded],
            series=series,
            levels=[],
            logarithmic=True,
            empty="" if any(v for s in series for v in s.values) else "all class means coincide",
        )
    ]


def _singular(picture: Picture, name: str) -> Array:
    table = getattr(picture, name).coordinates
    values = np.linalg.svd(table / (np.abs(table).max() or 1.0), compute_uv=False)[: len(table) - 1]
    return np.asarray(values / (values.mean() or math.nan))


def depth_data(run: RunTables, layers: Sequence[str]) -> dict[str, Any] | None:
    """Measures of every layer at the recorded epochs, on the training samples; None for one layer."""
    if len(layers) < 2:
        return None
    rows = run.rows[run.rows["split"] == "train"]
    epochs = thinned(sorted(float(epoch) for epoch in rows["epoch"].unique()), 80)
    measures = []
    for name, words in (("nc1_quotient", "NC1, variances"), ("nc2_equiangular", "NC2, angles"), ("nc1_cdnv", "CDNV")):
        by_layer = [rows[rows["layer"] == layer] for layer in layers]
        if name in rows:
            values = [values_at(epochs, own["epoch"].to_numpy(float), own[name].to_numpy(float)) for own in by_layer]
            measures.append({"words": f"{words} ({name})", "values": values})
    return {"layers": list(layers), "epochs": epochs, "measures": measures} if measures else None


def thinned(epochs: Sequence[float], most: int = MOST_POINTS) -> list[float]:
    """At most `most` of these epochs: evenly spaced ones, and as many log-spaced ones."""
    if len(epochs) <= most:
        return list(epochs)
    places = np.concatenate(
        [np.linspace(0, len(epochs) - 1, most // 2), np.geomspace(1, len(epochs), most // 2) - 1],
    )
    return [epochs[place] for place in sorted(set(places.round().astype(int).tolist()))]


def values_at(epochs: Sequence[float], recorded: Array, values: Array, missing: Any = None) -> list[Any]:
    """The values at these epochs, `missing` where none was recorded."""
    known = dict(zip(recorded.tolist(), finite(values), strict=True))
    return [known.get(epoch, missing) for epoch in epochs]


def finite(values: Array) -> list[float | None]:
    """The values with six digits, None where a page cannot draw them."""
    return [float(f"{v:.6g}") if math.isfinite(v) and abs(v) <= LARGEST else None for v in values.tolist()]

"""The metrics of several runs over the epochs, a chart for each metric and split, a line for each run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nc_bench.reports.curves import DECISIONS, POINTS, RISK, SHARES, SIMPLEX, Panel, why_empty
from nc_bench.reports.numbers import number
from nc_bench.reports.page.charts import (
    NULL_DASH,
    SAMPLES,
    UNRECORDED,
    Chart,
    Level,
    Series,
    thinned,
    values_at,
)
from nc_bench.reports.queries import claim, curve, null_value
from nc_bench.reports.style import LARGEST
from nc_bench.runs import RunTables

COLOURS = 6
DASHES = ("", "8 3", "2 3", "8 3 2 3", "14 4", "4 2 1 2")

PREDICTED_DASH = "1 5"


@dataclass(frozen=True, kw_only=True)
class Line:
    """How a run is drawn in every chart: no two of the first COLOURS * len(DASHES) runs look alike."""

    name: str
    colour: str
    dash: str


def lines_of(names: Sequence[str]) -> list[Line]:
    """Colours in turn, and dashes so that each colour gets another one in every round."""
    return [
        Line(name=name, colour=f"--s{at % COLOURS}", dash=DASHES[(at + at // COLOURS) % len(DASHES)])
        for at, name in enumerate(names)
    ]


def comparing_charts(runs: Sequence[RunTables], lines: Sequence[Line]) -> list[Chart]:
    """The metrics that the page of a run draws, on both splits; a split that no run was measured on has no charts."""
    splits = [split for split in SAMPLES if any((run.rows["split"] == split).any() for run in runs if len(run.rows))]
    return [
        _chart(runs, lines, split, panel, metric, words)
        for split in splits
        for panel in (RISK, POINTS, SIMPLEX, DECISIONS, SHARES)
        for metric, words in panel.metrics
    ]


def _chart(
    runs: Sequence[RunTables], lines: Sequence[Line], split: str, panel: Panel, metric: str, words: str
) -> Chart:
    found = [curve(run, split, metric) for run in runs]
    epochs = thinned(sorted({epoch for at, _ in found for epoch in at.tolist()}))
    series = [
        Series(
            words=line.name,
            values=values_at(epochs, *own, UNRECORDED),
            colour=line.colour,
            dash=line.dash,
            width=1.8,
            run=number_of_run,
        )
        for number_of_run, (line, own) in enumerate(zip(lines, found, strict=True))
    ]
    drawn = [any(isinstance(v, float) and (v > 0 or not panel.logarithmic) for v in one.values) for one in series]
    alone = replace(panel, metrics=((metric, words),))
    why = [why_empty(run, alone, (split,)) for run in runs]
    missing = [
        f"{line.name}: {said}."
        for line, run, said, is_drawn in zip(lines, runs, why, drawn, strict=True)
        if not (is_drawn or run.rows.empty)
    ]
    return Chart(
        name=f"{metric}-{split}",
        title=f"{words} ({metric})" if words != metric else words,
        meaning=f"{SAMPLES[split].capitalize()} samples. {panel.title[4:] if words != metric else ''}".strip(),
        epochs=epochs,
        series=[one for one, is_drawn in zip(series, drawn, strict=True) if is_drawn],
        levels=_levels(runs, lines, metric),
        logarithmic=panel.logarithmic,
        empty="" if any(drawn) else "No run has a value that can be drawn.",
        notes=tuple(missing),
    )


def _levels(runs: Sequence[RunTables], lines: Sequence[Line], metric: str) -> list[Level]:
    """The predicted minimum of the risk and the values of random directions: once where all runs have the same."""
    if metric == "risk":
        values, what, dash = (
            [float(claim(run, metric).get("predicted", math.nan)) for run in runs],
            "predicted",
            PREDICTED_DASH,
        )
    else:
        values, what, dash = [null_value(run, metric) for run in runs], "random directions", NULL_DASH
    known = {at: value for at, value in enumerate(values) if math.isfinite(value) and abs(value) <= LARGEST}
    written = {number(value, 6) for value in known.values()}
    if len(written) == 1:
        value = next(iter(known.values()))
        return [Level(words=f"{what} {number(value)}", value=value, colour="--ink", dash=dash)]
    return [
        Level(words=f"{what}, {lines[at].name}", value=value, colour=lines[at].colour, dash=dash, run=at)
        for at, value in known.items()
    ]

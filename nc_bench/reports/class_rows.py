"""The classes of a run one by one, by their names, as rows of text."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nc_bench.reports.numbers import number, percent
from nc_bench.reports.queries import class_columns
from nc_bench.runs import RunTables
from nc_bench.text import plain, shortened

COLUMNS = {
    "count": "samples",
    "mean_norm": "length of the mean",
    "variance": "variance",
    "weight_norm": "length of the row of W",
    "cosine": "cosine of both",
    "risk": "risk",
    "accuracy": "accuracy",
}
"""What a table calls each column of `per_class`."""

MOST_ROWS = 100
LONGEST_NAME = 40


@dataclass(frozen=True, kw_only=True)
class ClassRows:
    """A table of classes, ready to print, and how many there are; of more than 100 those with the largest `by`."""

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    classes: int
    by: str


def class_rows(run: RunTables, split: str) -> ClassRows | None:
    """The classes at the last recorded epoch in the order of their labels, of many the worst ones.

    The worst have the largest risk, or, where no last layer was measured, the largest variance.

    The mean is that of the class relative to the mean of the class means. None where no table was kept, as before a run
    has ended. RunError for a damaged file.
    """
    columns = class_columns(run, split)
    if not columns:
        return None
    shown = [name for name in COLUMNS if name in columns]  # without a last layer some are not there
    classes = len(columns["count"])
    names = run.manifest.get("class_names") or list(map(str, range(classes)))
    chosen, by = np.arange(classes), "risk" if "risk" in columns else "variance"
    if classes > MOST_ROWS:
        chosen = np.argsort(-np.nan_to_num(columns[by], nan=-math.inf), kind="stable")[:MOST_ROWS]
    rows = [
        (_name(names, label), *(_cell(name, float(columns[name][label])) for name in shown))
        for label in chosen.tolist()
    ]
    return ClassRows(header=("class", *(COLUMNS[name] for name in shown)), rows=rows, classes=classes, by=by)


def _name(names: list[str], label: int) -> str:
    return shortened(plain(str(names[label])), LONGEST_NAME) if label < len(names) else str(label)


def _cell(name: str, value: float) -> str:
    if name == "count":
        return f"{value:.0f}"
    return percent(value, 3) if name == "accuracy" else number(value)

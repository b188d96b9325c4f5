"""Which measures the page of a sweep has: those of its study, those that the page of a run draws, and all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nc_bench.reports.curves import DECISIONS, POINTS, RISK, SHARES, SIMPLEX
from nc_bench.runs.directory import PENULTIMATE
from nc_bench.sweeps.study import Measure, Study

PANELS = (RISK, POINTS, SIMPLEX, DECISIONS, SHARES)
LOGARITHMIC = frozenset(metric for panel in PANELS for metric, _ in panel.metrics if panel.logarithmic)

HEADLINE = ("risk", "nc1_quotient", "nc2_equiangular", "nc3_duality_centred", "simplex_efficiency", "accuracy, test")
"""What the table and the differences of a sweep without a study show."""

NO_MEASURES = frozenset({"epoch", "step", "seconds"})


def drawn_measures(study: Study | None) -> dict[str, Measure]:
    """The measures that have curves, by their names: the study's, then those of the page of a run on both splits."""
    metrics = [metric for panel in PANELS for metric, _ in panel.metrics]
    found = dict(study.measures) if study is not None else {}
    for suffix, split in (("", "train"), (", test", "test")):
        for metric in metrics:
            found.setdefault(f"{metric}{suffix}", Measure.model_validate({"metric": metric, "split": split}))
    return found


def further_measures(row: Mapping[str, Any], known: Mapping[str, Measure]) -> dict[str, Measure]:
    """Every other number of a row of the training samples."""
    names = [name for name, value in row.items() if isinstance(value, int | float) and name not in NO_MEASURES]
    return {name: Measure(metric=name, layer=PENULTIMATE) for name in names if name not in known}


def is_logarithmic(measure: Measure, study: Study | None, name: str) -> bool:
    """Whether an axis of this measure starts as a logarithmic one."""
    if study is not None and name in study.measures:
        return name in study.drawn.log_y or (measure.stays_above is None and measure.metric in LOGARITHMIC)
    return measure.metric in LOGARITHMIC or measure.metric.startswith("gap_")


def table_measures(study: Study | None, known: Sequence[str]) -> list[str]:
    """The columns of the table: the measures of the study, else HEADLINE as far as it was recorded."""
    return list(study.measures) if study is not None else [name for name in HEADLINE if name in known]

"""Metrics as a table to read: each value beside that of random directions and that at exact collapse."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from nc_bench.metrics.null import NULL_NAMES, null_baseline, why_no_null

AT_COLLAPSE: Mapping[str, float | None] = {
    "nc1_pinv": 0.0,
    "nc1_quotient": 0.0,
    "nc1_cdnv": 0.0,
    "nc2_equinorm": 0.0,
    "nc2_equiangular": 0.0,
    "nc2_equiangular_worst": 0.0,
    "nc2_etf": 0.0,
    "nc3_duality_centred": 0.0,
    "nc3_alignment_centred": 0.0,
    "nc4_mismatch": 0.0,
    "output_collapse": 0.0,
    "isometry_defect": 0.0,
    "simplex_efficiency": 1.0,
    "risk_gap": 0.0,
    "risk": None,
    "feature_radius": None,
    "head_opnorm": None,
    "accuracy": 1.0,
    "ncc_accuracy": 1.0,
}
"""The metrics that are shown, with their value at exact collapse; None where it depends on the norms."""

UNTELLING = 1e-9
"""Nearer than this to 0, random directions score what collapse does, as those of two classes do."""


def summary_text(
    values: Mapping[str, float], reasons: Mapping[str, str], counts: list[float], width: int | None
) -> str:
    """The table, with a line on the samples above it and the reasons of undefined values below.

    counts: samples of every class. width: of the features; without it there is no column of random directions.
    """
    classes = len(counts)
    null = {} if width is None else null_baseline(classes, width)
    lines = [_opening(counts, width), "", f"{'metric':24}{'value':>12}{'random':>12}{'collapsed':>12}"]
    for name, collapsed in AT_COLLAPSE.items():
        if name in values:
            baseline = null.get(name, math.nan)
            numbers = (values[name], baseline, math.nan if collapsed is None else collapsed)
            columns = "".join(f"{'-' if math.isnan(number) else f'{number:.4g}':>12}" for number in numbers)
            lines.append(f"{name:24}{columns}  {_reading(name, values[name], baseline)}".rstrip())
    undefined = Counter(reasons.values())
    lines += ["", *(f"undefined ({count} metrics): {why}" for why, count in undefined.items())] if undefined else []
    why = None if width is None else why_no_null(classes)
    return "\n".join([*lines, *([f"no random values: {why}"] if why else [])])


def _opening(counts: list[float], width: int | None) -> str:
    classes, least, most = len(counts), int(min(counts)), int(max(counts))
    each = f"{least}" if least == most else f"{least} to {most}"
    features = "" if width is None else f", features of width {width}"
    narrow = (
        "" if width is None or width >= classes - 1 else f" (no simplex of {classes} classes fits below {classes - 1})"
    )
    return f"{int(sum(counts))} samples of {classes} classes, {each} each{features}{narrow}"


def _reading(name: str, value: float, null: float) -> str:
    """How far the value is from what random directions score."""
    if math.isnan(value):
        return "undefined, see below"
    if name not in NULL_NAMES or math.isnan(null):
        return ""
    if null < UNTELLING:
        return "random directions collapse too: it cannot tell"
    return f"{100 * value / null:.3g} % of random" if value < null else "no nearer to collapse than random"

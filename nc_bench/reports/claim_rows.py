"""The claims of a run as rows of text: grouped, in order, every number written out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nc_bench.reports.description import typed_config
from nc_bench.reports.numbers import PRECISION, ROUNDED, distinct, number, percent
from nc_bench.reports.queries import last_row
from nc_bench.runs import RunTables
from nc_bench.runs.directory import PENULTIMATE
from nc_bench.text import plain
from nc_bench.verdicts.claims import is_share
from nc_bench.verdicts.rest import AT_REST, MOVING, TIMES, per_doubling

LAW, OTHER = "Law: no network can break it", "Other"

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Risk and norms": ("risk", "objective", "margin", "feature_radius", "head_opnorm"),
    "Budget: norms become separation": ("simplex_efficiency", "efficiency_"),
    "NC1: the samples of a class become one point": ("nc1_", "output_collapse"),
    "NC2: the class means become a regular simplex": ("nc2_", "centre_offset"),
    "NC3: the last layer lines up with the class means": (
        "nc3_",
        "isometry_defect",
        "nc2_equinorm_w_",
        "nc2_equiangular_w_",
    ),
    "NC4: decisions go by the nearest class mean": ("nc4_", "accuracy", "ncc_accuracy"),
    OTHER: (),
    LAW: ("risk_gap", "jensen_gap", "budget_", "output_efficiency"),
}
"""Titles in their order, each with the beginnings of the names it holds; the longest beginning decides."""

NULL = "null: what random Gaussian class means and last-layer weights give; no better than this is no collapse."
DEVIATION = (
    "deviation: measured minus predicted, in % where a share of the predicted value (of a risk: of the way to that of "
    "equal outputs); a claim holds where the deviation's size is at most the tolerance."
)
ROUNDING = "rounding"
EQUAL = f"{ROUNDING}: the deviation is no larger than what rounding in {{dtype}} leaves."
NOT_REACHED = (
    "not reached: outside the tolerance, but the run has not come to the minimiser that the claim is about, or may "
    "still move."
)
UNSETTLED = f"Whether the run is at rest is not known: train --settle compares it with {TIMES} times as many epochs."
NOT_COMPLETE = "This run has not been completed: the verdicts are of the last time it was judged."


HEADER = ("claim", "predicted", "null", "measured", "deviation", "tolerance", "verdict", "source")
"""What a table calls the columns of a claim."""


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    """One claim, ready to print; numbers are text, '-' where there is none."""

    name: str
    group: str
    claim: str
    predicted: str
    null: str
    measured: str
    deviation: str
    tolerance: str
    verdict: str
    source: str


def group_of(name: str) -> str:
    """The title of the group that a metric belongs to."""
    beginnings = [(len(start), group) for group, starts in GROUPS.items() for start in starts if name.startswith(start)]
    return max(beginnings)[1] if beginnings else OTHER


def claim_rows(run: RunTables) -> list[ClaimRow]:
    """Every claim of the run as text, ordered by group and within a group as they were judged."""
    order = list(GROUPS)
    sources, dtype = _sources(run), typed_config(run).dtype
    rows = [_claim_row(dict(row), sources, dtype) for _, row in run.predictions.iterrows()]
    return sorted(rows, key=lambda row: order.index(row.group))


def footnotes(run: RunTables) -> list[str]:
    """What a reader must know to read the rows, as far as it concerns this run; a sentence each."""
    claims = run.predictions
    if claims.empty:
        return []
    notes = []
    if claims["null"].notna().any():
        notes.append(NULL)
    if claims["deviation"].notna().any():
        notes.append(DEVIATION)
    dtype = typed_config(run).dtype
    if any(_is_rounding(dict(row), dtype) for _, row in claims.iterrows()):
        notes.append(EQUAL.format(dtype=dtype))
    if (claims["verdict"] == "not reached").any():
        notes.append(NOT_REACHED)
    notes.extend(_rest(run))
    if run.manifest.get("status") != "complete":
        notes.append(NOT_COMPLETE)
    marked = enumerate(_sources(run), 1)
    notes += _why_not_applicable(run) + _why_undefined(run)
    notes += [f"[{n}] {source} ({what})." for n, (source, what) in marked]
    return [plain(note) for note in notes]


def _sources(run: RunTables) -> list[tuple[str, str]]:
    """Every source of a claim with what it assumes, in the order of the claims; row n is what '[n]' refers to."""
    judged = run.predictions[run.predictions["source"].astype(bool)]
    return list(judged[["source", "assumption"]].drop_duplicates().itertuples(index=False, name=None))


def _rest(run: RunTables) -> list[str]:
    """What the longer twin says of the claims, or that there is none where one is needed."""
    claims = run.predictions[run.predictions["rest"].astype(bool)]
    if claims["later"].isna().all():
        unknown = (claims["verdict"] == "not reached") & ~claims["rest"].isin([AT_REST, MOVING])
        return [UNSETTLED] * bool(unknown.any())
    moving, rested = (claims[claims["rest"] == state] for state in (MOVING, AT_REST))
    changes = [
        f"{name} {number(now)} -> {number(later)} ({number(per_doubling(now, later), 2)} per doubling)"
        for name, now, later in zip(moving["name"], moving["measured"], moving["later"], strict=True)
    ]
    said = [f"still moving in {TIMES} times as many epochs: {'; '.join(changes)}."] * bool(changes)
    few = "move by no more than a fifth of the tolerance"
    return said + [f"at rest ({', '.join(rested['name'])}): they {few}."] * bool(len(rested))


def _why_undefined(run: RunTables) -> list[str]:
    """Why a value that was to be judged is undefined: classes that have merged, for instance."""
    undefined = run.predictions[run.predictions["measured"].isna() & (run.predictions["verdict"] != "not applicable")]
    epoch = int(last_row(run, "train").get("epoch", -1))
    why: dict[str, list[str]] = {}
    for name in undefined["name"]:
        reason = run.reasons.get((epoch, "train", PENULTIMATE, name), "no reason was recorded")
        why.setdefault(reason, []).append(name)
    return [f"undefined ({', '.join(names)}): {reason}." for reason, names in why.items()]


def _why_not_applicable(run: RunTables) -> list[str]:
    excluded = run.predictions[run.predictions["verdict"] == "not applicable"]
    epoch = int(last_row(run, "train").get("epoch", -1))
    why: dict[str, list[str]] = {}
    for _, row in excluded.iterrows():
        undefined = run.reasons.get((epoch, "train", PENULTIMATE, row["name"]))
        why.setdefault(undefined or row["assumption"] or "no reason was recorded", []).append(row["name"])
    return [f"not applicable ({', '.join(names)}): {reason}." for reason, names in why.items()]


def _claim_row(row: Mapping[str, Any], sources: Sequence[tuple[str, str]], dtype: str) -> ClaimRow:
    predicted, measured, source = row["predicted"], row["measured"], (row["source"], row["assumption"])
    write = percent if is_share(row["name"], predicted) else number
    size = abs(row["deviation"])
    sign = "" if math.isnan(size) else "+" if row["deviation"] > 0 else "-" if row["deviation"] < 0 else ""
    return ClaimRow(
        name=plain(row["name"]),
        group=group_of(row["name"]),
        claim=plain(row["claim"]),
        predicted=number(predicted),
        null=number(row["null"]),
        measured=number(measured),
        deviation=ROUNDING if _is_rounding(row, dtype) else sign + distinct(size, row["tolerance"], 2, write),
        tolerance=distinct(row["tolerance"], size, 2, write),
        verdict=plain(row["verdict"]),
        source=f"[{sources.index(source) + 1}]" if source in sources else "-",
    )


def _is_rounding(row: Mapping[str, Any], dtype: str) -> bool:
    """Whether a deviation that breaks nothing is within rounding, of which a measure of NC1 has the square."""
    if row["verdict"] == "fails" or row["deviation"] == 0:
        return False
    unit = PRECISION[dtype]
    scale = abs(row["predicted"]) or (unit if group_of(row["name"]).startswith("NC1") else 1.0)
    return bool(abs(row["measured"] - row["predicted"]) <= ROUNDED * unit * scale)

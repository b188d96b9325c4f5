"""Do class weights matter to networks that are too small to choose values freely?"""

from __future__ import annotations

import math

from nc_bench.sweeps.studies.evidence import (
    Answer,
    Evidence,
    Verdict,
    against,
    all_of,
    equivalent,
    interval,
    unless_moving,
)
from nc_bench.sweeps.tables import digits

CLASSES = 10
MARGIN = 0.02 * math.log(CLASSES)
"""Change of the balanced risk up to which weights change nothing: a fiftieth of what chance loses."""

WEIGHTED = 100


def capacity(evidence: Evidence) -> Answer:
    """The balanced risk with weights 100:1 minus that with equal ones, at every hidden width."""
    widths = sorted(evidence.labels("width"))
    changes = {width: evidence.difference("risk_balanced", ratio=WEIGHTED, width=width) for width in widths}
    same = {width: equivalent(change, MARGIN) for width, change in changes.items()}
    small, large = widths[0], widths[-1]
    moving = {width: evidence.is_moving("risk_balanced", width=width, ratio=WEIGHTED) for width in widths}
    verdict = all_of([unless_moving(same[large], moving=moving[large]), opposite(same[small])])
    rows = tuple(
        (
            str(width),
            *(interval(evidence.at("risk_balanced", ratio=ratio, width=width)) for ratio in (1, WEIGHTED)),
            interval(changes[width]),
            same[width],
            longer(evidence, width),
            *(interval(evidence.at("accuracy", ratio=ratio, width=width)) for ratio in (1, WEIGHTED)),
        )
        for width in widths
    )
    return Answer(
        verdict=verdict,
        headline=f"class weights change the balanced risk by {interval(changes[small])} at width {small}, by "
        f"{interval(changes[large])} at width {large}{', and still move' * moving[large]}, n = {changes[large].runs}.",
        header=(
            "hidden width",
            "balanced risk, 1:1",
            "at 100:1",
            "change",
            "same",
            "change in longer twins",
            "accuracy, 1:1",
            "at 100:1",
        ),
        rows=rows,
    )


def longer(evidence: Evidence, width: int) -> str:
    """The change of the balanced risk in the longer twins, `-` where there are none."""
    if evidence.settled.empty:
        return "-"
    twins = evidence.settled[(evidence.settled["measure"] == "risk_balanced") & (evidence.settled["width"] == width)]
    by_ratio = {ratio: twins[twins["ratio"] == ratio].set_index("seed")["later"] for ratio in (1, WEIGHTED)}
    found = against(by_ratio[WEIGHTED], by_ratio[1])
    return f"{interval(found) if found.runs > 1 else digits(found.mean)}, n = {found.runs}"


def opposite(verdict: Verdict) -> Verdict:
    """What is refuted of "the same" supports "not the same"."""
    swapped = {Verdict.SUPPORTED: Verdict.REFUTED, Verdict.REFUTED: Verdict.SUPPORTED}
    return swapped.get(verdict, verdict)

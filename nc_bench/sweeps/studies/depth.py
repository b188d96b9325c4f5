"""Do the last two layers collapse what frozen layers before them have not, as far as a network does that trains all?"""

from __future__ import annotations

from nc_bench.statistics import Difference
from nc_bench.sweeps.studies.evidence import (
    Answer,
    Evidence,
    Verdict,
    above,
    against,
    all_of,
    interval,
    unless_moving,
)

LOSS = -0.05
"""Change of efficiency from which on frozen layers cost collapse: as far as a network's efficiency may be off 1."""

NOT_COLLAPSED = 0.1
"""nc1_quotient above which the last frozen layer leaves something to collapse."""

FROZEN, TRAINED, LAST_FROZEN = "frozen", "trained", "nc1_quotient, layer3"
EFFICIENCY = "simplex_efficiency"


def depth(evidence: Evidence) -> Answer:
    """Efficiency with the first layers frozen minus that with all trained; spread and hulls that meet in every layer
    beside."""
    layers = [name.removeprefix("nc1_quotient, ") for name in evidence.study.measures if name.startswith("nc1_")]
    arms = evidence.labels("arm")
    frozen = [arm for arm in arms if arm.startswith(FROZEN)]
    changes = {arm: from_trained(evidence, arm) for arm in frozen}
    spread = [above(evidence.at(LAST_FROZEN, arm=arm), NOT_COLLAPSED) for arm in frozen]
    moving = {arm: evidence.is_moving(EFFICIENCY, arm=arm) for arm in frozen}
    verdict = all_of([unless_moving(above(change, LOSS), moving=moving[arm]) for arm, change in changes.items()])
    if all_of(spread) is not Verdict.SUPPORTED:
        verdict = Verdict.UNDECIDED
    worst = min(changes, key=lambda arm: changes[arm].mean)
    what = {
        Verdict.SUPPORTED: "two trained layers collapse what frozen layers have not as far as five do",
        Verdict.REFUTED: "two trained layers collapse less of what frozen layers have not than five do",
        Verdict.UNDECIDED: "whether two trained layers collapse as much as five is open",
    }[verdict]
    rows = tuple(
        (
            arm,
            interval(evidence.at(EFFICIENCY, arm=arm)),
            interval(changes[arm]) + ", still moving" * moving[arm] if arm in changes else "reference",
            *(interval(evidence.at(f"nc1_quotient, {layer}", arm=arm)) for layer in layers),
            *(interval(evidence.at(f"hull_overlap, {layer}", arm=arm)) for layer in layers),
        )
        for arm in arms
    )
    return Answer(
        verdict=verdict,
        headline=f"{what}: efficiency changes by {interval(changes[worst])} ({worst}), n = {changes[worst].runs}.",
        header=(
            "arm",
            "efficiency",
            "frozen - trained",
            *(f"{measure}, {layer}" for measure in ("nc1_quotient", "hull_overlap") for layer in layers),
        ),
        rows=rows,
    )


def from_trained(evidence: Evidence, arm: str) -> Difference:
    """Efficiency in a frozen arm minus that in the arm that trains all layers under the same bounds or decay."""
    other = TRAINED + arm.removeprefix(FROZEN)
    return against(evidence.values(EFFICIENCY, arm=arm), evidence.values(EFFICIENCY, arm=other))

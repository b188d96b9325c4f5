"""Where in a network is the geometry, and does what is not collapsed before the last two layers stop them?"""

from __future__ import annotations

from nc_bench.sweeps.studies.evidence import Answer, Evidence, Verdict, above, all_of, interval

COLLAPSED = 0.9
"""simplex_efficiency from which on the features count as collapsed."""

FROZEN = "frozen"


def depth(evidence: Evidence) -> Answer:
    """Efficiency where the first layers are frozen before they collapse; the spread in every layer beside."""
    layers = [name.removeprefix("nc1_quotient, ") for name in evidence.study.measures if name.startswith("nc1_")]
    arms = evidence.labels("arm")
    rows = tuple(
        (
            arm,
            interval(evidence.at("simplex_efficiency", arm=arm)),
            *(interval(evidence.at(f"nc1_quotient, {layer}", arm=arm)) for layer in layers),
        )
        for arm in arms
    )
    frozen = [arm for arm in arms if arm.startswith(FROZEN)]
    reached = {arm: evidence.at("simplex_efficiency", arm=arm) for arm in frozen}
    verdict = all_of([above(found, COLLAPSED) for found in reached.values()])
    least = min(reached.values(), key=lambda found: found.mean)
    what = {
        Verdict.SUPPORTED: "two trained layers collapse what frozen layers before them have not",
        Verdict.REFUTED: "what frozen layers have not collapsed, two trained layers do not collapse",
        Verdict.UNDECIDED: "whether two trained layers collapse what frozen ones have not is open",
    }[verdict]
    return Answer(
        verdict=verdict,
        headline=f"{what}: efficiency {interval(least)} at least, n = {least.runs}.",
        header=("arm", "efficiency", *(f"nc1_quotient, {layer}" for layer in layers)),
        rows=rows,
    )

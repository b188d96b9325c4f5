"""Is a last layer that is fixed at a simplex as good as one that is trained?"""

from __future__ import annotations

from nc_bench.statistics import equivalence_p
from nc_bench.sweeps.studies.evidence import Answer, Evidence, all_of, below, equivalent, interval
from nc_bench.sweeps.tables import digits

FIXED, TRAINED = "fixed simplex", "trained"

MARGINS = {"simplex_efficiency": 0.01, "test accuracy": 0.01}
"""Differences up to which two heads count as equally good: a hundredth of the norm budget; one image in a hundred."""

KERNEL, UNSEEN = "kernel_share", 0.01
"""Share of the features' squares in the kernel of the head up to which it counts as nothing."""


def fixed_head(evidence: Evidence) -> Answer:
    """Equivalence (two one-sided t tests) of how far the features collapse and of test accuracy."""
    rows, parts, found = [], [], {}
    for measure, margin in MARGINS.items():
        found[measure] = evidence.difference(measure, arm=FIXED)
        p = equivalence_p(found[measure], margin)
        parts.append(equivalent(found[measure], margin))
        means = [digits(evidence.mean(measure, arm=arm)) for arm in (TRAINED, FIXED)]
        rows.append((measure, *means, interval(found[measure]), digits(margin), f"{p:.3f}", parts[-1].value))
    shares = {arm: evidence.at(KERNEL, arm=arm) for arm in (TRAINED, FIXED)}
    unseen = {arm: below(share, UNSEEN) for arm, share in shares.items()}
    rows.append(
        (
            KERNEL,
            *(f"{interval(share)}, below {UNSEEN:g}: {unseen[arm]}" for arm, share in shares.items()),
            interval(evidence.difference(KERNEL, arm=FIXED)),
            "-",
            "-",
            "-",
        )
    )
    for measure in [name for name in evidence.study.measures if name not in (*MARGINS, KERNEL)]:
        means = [digits(evidence.mean(measure, arm=arm)) for arm in (TRAINED, FIXED)]
        rows.append((measure, *means, interval(evidence.difference(measure, arm=FIXED)), "-", "-", "-"))
    efficiency, accuracy = (interval(found[measure]) for measure in MARGINS)
    most = interval(max(shares.values(), key=lambda share: share.mean))
    return Answer(
        verdict=all_of([*parts, *unseen.values()]),
        headline=f"with a fixed head efficiency differs by {efficiency}, test accuracy by {accuracy}; kernel_share is "
        f"{most} at most, n = {evidence.seed_count}.",
        header=("measure", TRAINED, FIXED, "difference", "margin", "p of equivalence", "equal"),
        rows=tuple(rows),
    )

"""Is a last layer that is fixed at a simplex as good as one that is trained?"""

from __future__ import annotations

from nc_bench.statistics import equivalence_p
from nc_bench.sweeps.studies.evidence import Answer, Evidence, Verdict, all_of, equivalent, interval
from nc_bench.sweeps.tables import digits

FIXED, TRAINED = "fixed simplex", "trained"

MARGINS = {"simplex_efficiency": 0.01, "test accuracy": 0.01}
"""Differences up to which two heads count as equally good: a hundredth of the norm budget; one image in a hundred."""


def fixed_head(evidence: Evidence) -> Answer:
    """Equivalence (two one-sided t tests) of how far the features collapse and of test accuracy."""
    rows, parts, found = [], [], {}
    for measure, margin in MARGINS.items():
        found[measure] = evidence.difference(measure, arm=FIXED)
        p = equivalence_p(found[measure], margin)
        parts.append(equivalent(found[measure], margin))
        means = [digits(evidence.mean(measure, arm=arm)) for arm in (TRAINED, FIXED)]
        rows.append((measure, *means, interval(found[measure]), digits(margin), f"{p:.3f}", parts[-1].value))
    for measure in [name for name in evidence.study.measures if name not in MARGINS]:
        means = [digits(evidence.mean(measure, arm=arm)) for arm in (TRAINED, FIXED)]
        rows.append((measure, *means, interval(evidence.difference(measure, arm=FIXED)), "-", "-", "-"))
    verdict = all_of(parts)
    what = {
        Verdict.SUPPORTED: "a head fixed at a simplex does as well",
        Verdict.REFUTED: "a fixed head does differently",
        Verdict.UNDECIDED: "whether a fixed head does as well is open",
    }[verdict]
    efficiency, accuracy = (interval(found[measure]) for measure in MARGINS)
    return Answer(
        verdict=verdict,
        headline=f"{what}: efficiency differs by {efficiency}, test accuracy by {accuracy}, n = {evidence.seed_count}.",
        header=("measure", TRAINED, FIXED, "difference", "margin", "p of equivalence", "equal"),
        rows=tuple(rows),
    )

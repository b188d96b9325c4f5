"""Do random labels, or random data, collapse as true ones do?"""

from __future__ import annotations

from nc_bench.sweeps.collect import COLLAPSED_SHARE
from nc_bench.sweeps.studies.evidence import Evidence, interval, plus_minus, sign
from nc_bench.text import listed

TRUE = "true labels"


def random_labels(evidence: Evidence) -> str:
    """What every arm reaches and when, and whether what is random collapses less."""
    parts, verdicts = [], []
    for arm in evidence.labels("arm"):
        epoch = evidence.at("collapse epoch", arm=arm)
        some = "" if epoch.runs == evidence.seed_count else f" in {epoch.runs} of the seeds, else never"
        reached = f"from epoch {epoch.mean:.0f} on{some}" if epoch.runs else "never"
        parts.append(
            f"{arm} turn {plus_minus(evidence.at('simplex_efficiency', arm=arm))} of the norm budget into separation "
            f"({COLLAPSED_SHARE:.0%} {reached}) at nc1_quotient {plus_minus(evidence.at('nc1_quotient', arm=arm))}"
        )
        if arm != TRUE:
            difference = evidence.difference("simplex_efficiency", arm=arm)
            how = {-1: "collapse less than", 0: "collapse as far as", 1: "collapse further than"}[sign(difference)]
            verdicts.append(f"{arm} {how} {TRUE} (difference {interval(difference)})")
    return f"{listed(verdicts).capitalize()}: {listed(parts)}, over {evidence.seeds()}."

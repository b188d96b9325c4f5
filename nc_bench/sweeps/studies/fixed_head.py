"""Is a last layer that is fixed at a simplex as good as one that is trained?"""

from __future__ import annotations

from nc_bench.sweeps.studies.evidence import Evidence, interval, plus_minus, sign

FIXED, TRAINED = "fixed simplex", "trained"


def fixed_head(evidence: Evidence) -> str:
    """Speed of collapse, its extent and test accuracy; with the paired difference of each."""
    parts = []
    for measure, words, verbs in (
        ("collapse epoch", "epochs to collapse", ("sooner", "as soon", "later")),
        ("simplex_efficiency", "of the norm budget", ("less far", "as far", "further")),
        ("test accuracy", "test accuracy", ("worse on test images", "as well on test images", "better on test images")),
    ):
        fixed, trained = (evidence.at(measure, arm=arm) for arm in (FIXED, TRAINED))
        difference = evidence.difference(measure, arm=FIXED)
        both = fixed.runs == trained.runs == evidence.seed_count
        verb = verbs[sign(difference) + 1] if both else "in some seeds only"
        parts.append(
            f"{verb} ({plus_minus(fixed)} against {plus_minus(trained)} {words}, difference {interval(difference)})"
        )
    return f"A head fixed at a simplex collapses {parts[0]}, {parts[1]}, and does {parts[2]}; {evidence.seeds()}."

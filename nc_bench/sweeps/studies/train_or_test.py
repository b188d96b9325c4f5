"""Does collapse reach images that were not trained on?"""

from __future__ import annotations

from nc_bench.sweeps.studies.evidence import Evidence, plus_minus
from nc_bench.sweeps.tables import digits
from nc_bench.text import listed

BOTH_COLLAPSE_RATIO = 3.0
"""Ratio of the spread within classes on test and on training images up to which both are said to collapse."""


def train_or_test(evidence: Evidence) -> str:
    """Spread within classes and efficiency on both splits, arm by arm."""
    parts, ratios = [], []
    for arm in evidence.labels("arm"):
        train, test = (evidence.at(f"nc1_quotient, {split}", arm=arm) for split in ("train", "test"))
        ratios.append(test.mean / train.mean)
        parts.append(
            f"with {arm} nc1_quotient is {plus_minus(train)} on training and {plus_minus(test)} on test images "
            f"({digits(ratios[-1])} times as much), simplex_efficiency "
            f"{plus_minus(evidence.at('simplex_efficiency, train', arm=arm))} and "
            f"{plus_minus(evidence.at('simplex_efficiency, test', arm=arm))}, test accuracy "
            f"{plus_minus(evidence.at('accuracy, test', arm=arm))}"
        )
    if min(ratios) > BOTH_COLLAPSE_RATIO:
        verdict = "Collapse is a property of the training images"
    elif max(ratios) <= BOTH_COLLAPSE_RATIO:
        verdict = "Test images collapse too"
    else:
        verdict = "Whether test images collapse too depends on the training"
    return f"{verdict}: {listed(parts)}, over {evidence.seeds()}."

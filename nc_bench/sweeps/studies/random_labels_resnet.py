"""Do random labels collapse in a residual network too?"""

from __future__ import annotations

from nc_bench.statistics import summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, below, interval, unless_moving
from nc_bench.sweeps.tables import digits

COLLAPSED = 0.1
"""nc1_quotient below which NC1 counts as reached, as in the study of activations."""

RANDOM, SPREAD = "random labels", "nc1_quotient"


def random_labels_resnet(evidence: Evidence) -> Answer:
    """nc1_quotient of training images with random labels against a border; what it is in longer twins beside."""
    found, moving = evidence.at(SPREAD, arm=RANDOM), evidence.is_moving(SPREAD, arm=RANDOM)
    rows = []
    for arm in evidence.labels("arm"):
        for measure in evidence.study.measures:
            later = summarise(evidence.later(measure, arm=arm).to_numpy())
            shown = f"{digits(later.mean)}, n = {later.runs}" + ", moving" * evidence.is_moving(measure, arm=arm)
            rows.append((arm, measure, interval(evidence.at(measure, arm=arm)), shown))
    return Answer(
        verdict=unless_moving(below(found, COLLAPSED), moving=moving),
        headline=f"with random labels nc1_quotient ends at {interval(found)}{', still moving,' * moving} and training "
        f"accuracy at {interval(evidence.at('accuracy', arm=RANDOM))}, n = {found.runs}.",
        header=("arm", "measure", "at the end", "in longer twins"),
        rows=tuple(rows),
    )

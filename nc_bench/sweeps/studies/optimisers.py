"""Is NC3 (self-duality) lost under decoupled decay?"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from nc_bench.sweeps.statistics import at_best, summarise
from nc_bench.sweeps.studies.evidence import Evidence, plus_minus
from nc_bench.sweeps.tables import digits
from nc_bench.text import listed

PAIRS = {"SGD": "SGDW", "Adam": "AdamW", "Signum": "SignumW"}
"""Coupled decay and decoupled decay of the same optimizer."""

SETTING = ("lr", "decay", "momentum")
"""The columns of the grid besides the arm."""

LOST_RATIO = 2.0
"""How many times its coupled twin's the NC3 of a decoupled optimizer has to be to count as lost."""

PUBLISHED, CENTRED = "nc3_duality", "nc3_duality_centred"


def optimisers(evidence: Evidence) -> str:
    """Which decoupled optimizers lose NC3 against their coupled twins, published and centred, at their best settings.

    The verdict is given for the best settings that have converged, and for the best whether they have or not.
    """
    best = evidence.study.best
    assert best is not None, "the study says which settings count"
    arms = evidence.labels("arm")
    pairs = {coupled: other for coupled, other in PAIRS.items() if {coupled, other} <= set(arms)}
    rested, whichever = (
        at_best(runs, ["arm"], SETTING, best.measure, largest=True, number=best.number)
        for runs in (evidence.runs, evidence.runs.assign(converged=True))
    )
    published, centred = ([_losers(runs, name, pairs) for runs in (rested, whichever)] for name in (PUBLISHED, CENTRED))
    return (
        f"Under decoupled decay NC3 is lost (nc3_duality is more than {LOST_RATIO:g} times that of coupled decay) with "
        f"{published[0]} over the {best.number} converged settings of best {best.measure} and with {published[1]} over "
        f"the {best.number} best whether converged or not; centred, which is all of it that softmax sees, with "
        f"{centred[0]} and with {centred[1]} (nc3_duality, and centred in brackets: converged {_each(rested, arms)}; "
        f"converged or not {_each(whichever, arms)}); {evidence.seeds()}."
    )


def _losers(runs: pd.DataFrame, measure: str, pairs: Mapping[str, str]) -> str:
    """The decoupled optimizers whose mean is more than LOST_RATIO that of their twins, or "none"."""
    means = runs.groupby("arm")[measure].mean()
    lost = [decoupled for coupled, decoupled in pairs.items() if means[decoupled] > LOST_RATIO * means[coupled]]
    return listed(lost) if lost else "none"


def _each(runs: pd.DataFrame, arms: list[str]) -> str:
    parts = []
    for arm in arms:
        published, centred = (summarise(runs.loc[runs["arm"] == arm, name].to_numpy()) for name in (PUBLISHED, CENTRED))
        parts.append(f"{arm} {plus_minus(published)} ({digits(centred.mean)})")
    return listed(parts)

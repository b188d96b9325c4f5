"""Do random labels, or random data, collapse as true ones do, only later?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from nc_bench.statistics import summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, Verdict, above, all_of, interval
from nc_bench.sweeps.tables import digits

STALLED_RATE = 0.1
"""Rate b of 1 - efficiency ~ T^-b at which a deficit counts as stalled: ten times the epochs take a fifth off it."""

RANDOM = "random labels"


def random_labels(evidence: Evidence) -> Answer:
    """The rate at which the deficit falls when training is made longer, at every width, and whether it stalls.

    b is taken between the two longest trainings, each with its whole schedule, where a stall would show first.
    """
    epochs = sorted(evidence.labels("epochs"))
    rows, late = [], {}
    for arm in evidence.labels("arm"):
        for width in evidence.labels("width"):
            deficit = {t: 1 - evidence.values("simplex_efficiency", arm=arm, width=width, epochs=t) for t in epochs}
            first, last = (summarise(rate(deficit, pair).to_numpy()) for pair in (epochs[:2], epochs[-2:]))
            late[arm, width] = last
            reached = [digits(1 - float(deficit[t].mean())) for t in epochs]
            rows.append((arm, str(width), *reached, interval(first), interval(last)))
    widths = evidence.labels("width")
    verdict = all_of([above(late[RANDOM, width], STALLED_RATE) for width in widths])
    slowest = min((late[RANDOM, width] for width in widths), key=lambda found: found.mean)
    what = {
        Verdict.SUPPORTED: "random labels go on collapsing at every width",
        Verdict.REFUTED: "random labels nearly stop collapsing at some width",
        Verdict.UNDECIDED: "whether random labels go on collapsing at every width is open",
    }[verdict]
    return Answer(
        verdict=verdict,
        headline=f"{what}; 1 - efficiency falls as epochs^-b, slowest b = {interval(slowest)}, n = {slowest.runs}.",
        header=("arm", "width", *(f"efficiency at {t}" for t in epochs), "b, shortest two", "b, longest two"),
        rows=tuple(rows),
    )


def rate(deficit: dict[int, pd.Series], epochs: list[int]) -> pd.Series:
    """b of deficit ~ T^-b between two numbers of epochs, seed by seed."""
    short, long = epochs
    return np.log(deficit[short] / deficit[long]) / math.log(long / short)

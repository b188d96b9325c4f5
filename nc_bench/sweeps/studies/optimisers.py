"""Is NC3 (self-duality) lost under decoupled decay, at equal collapse of the classes?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from nc_bench.statistics import Summary, summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, above, all_of, interval, times
from nc_bench.text import listed

COUPLED = {"SGDW": "SGD", "AdamW": "Adam", "SignumW": "Signum"}
"""The coupled decay of the same optimizer."""

LOST_RATIO = 2.0
"""How many times its coupled twin's the NC3 of a decoupled optimizer has to be to count as lost."""

PUBLISHED, CENTRED = "nc3_duality", "nc3_duality_centred"
SETTING = ["lr", "decay", "momentum"]


def optimisers(evidence: Evidence) -> Answer:
    """The least NC3 of decoupled over that of coupled decay, among all settings with the matched NC1, seed by seed."""
    runs, arms = matched(evidence), set(evidence.runs["arm"])
    ratios = {
        arm: {measure: envelope_ratio(runs, measure, arm, coupled) for measure in (PUBLISHED, CENTRED)}
        for arm, coupled in COUPLED.items()
        if arm in arms
    }
    verdict = all_of([above(ratio[PUBLISHED], math.log(LOST_RATIO)) for ratio in ratios.values()])
    each = listed([f"{arm} {times(ratio[PUBLISHED])}" for arm, ratio in ratios.items()])
    rows = []
    for arm in evidence.runs["arm"].unique():
        own = runs[runs["arm"] == arm]
        least = [interval(summarise(own.groupby("seed")[measure].min().to_numpy())) for measure in (PUBLISHED, CENTRED)]
        shown = [times(ratios[arm][measure]) if arm in ratios else "-" for measure in (PUBLISHED, CENTRED)]
        settings = len(own[SETTING].drop_duplicates())
        rows.append((arm, str(settings), *least, *shown, interval(dose_response(own))))
    return Answer(
        verdict=verdict,
        headline=f"least NC3, decoupled over coupled decay, at matched NC1: {each}, n = {evidence.seed_count}.",
        header=(
            "arm", "matched settings", f"least {PUBLISHED}", f"least {CENTRED}", f"over coupled, {PUBLISHED}",
            f"over coupled, {CENTRED}", f"rank correlation of decay and {PUBLISHED}",
        ),
        rows=tuple(rows),
    )  # fmt: skip


def matched(evidence: Evidence) -> pd.DataFrame:
    """The runs of the settings whose NC1 is within the study's bound in every seed."""
    match = evidence.study.match
    assert match is not None and match.at_most is not None, "the study says what is matched"
    runs = evidence.runs
    within = (runs[match.measure] <= match.at_most).groupby([runs[name] for name in ("arm", *SETTING)])
    return runs[within.transform("all")]


def envelope_ratio(runs: pd.DataFrame, measure: str, arm: str, coupled: str) -> Summary:
    """log of the least value of one arm over that of the other, seed by seed: the lower envelopes of the grid."""
    least = runs.groupby(["arm", "seed"])[measure].min()
    if not {arm, coupled} <= set(runs["arm"]):
        return summarise([])
    return summarise(np.log(least[arm] / least[coupled]).to_numpy())


def dose_response(runs: pd.DataFrame) -> Summary:
    """Spearman's rank correlation of decay and NC3 over the settings, seed by seed."""
    ranks = [cell[["decay", PUBLISHED]].astype(float).rank() for _, cell in runs.groupby("seed")]
    return summarise([float(rank["decay"].corr(rank[PUBLISHED])) for rank in ranks if rank["decay"].nunique() > 1])

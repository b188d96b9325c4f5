"""Does collapse help on test images, at equal training risk?"""

from __future__ import annotations

import pandas as pd

from nc_bench.statistics import summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, Verdict, above, interval
from nc_bench.sweeps.tables import digits

MATCHED_RISKS = (0.05, 0.02, 0.01, 0.005)
"""Training risks at whose first crossing runs are compared: the smaller, the longer a run has had to collapse."""

FEWEST_DECAYS = 4
"""Of fewer a rank correlation says next to nothing."""

NO_EFFECT = 0.0
EFFICIENCY, ACCURACY = "simplex_efficiency", "test accuracy"


def generalisation(evidence: Evidence) -> Answer:
    """Rank correlation over decays of efficiency and test accuracy at equal training risk, by seed, over four risks."""
    matched = {risk: at_matched_risk(evidence.curves, risk) for risk in MATCHED_RISKS}
    by_seed = pd.DataFrame({risk: rank_correlations(runs) for risk, runs in matched.items()})
    correlation = summarise(by_seed.mean(axis=1).dropna().to_numpy())
    verdict = above(correlation, NO_EFFECT) if correlation.runs > 1 else Verdict.UNDECIDED
    what = {
        Verdict.SUPPORTED: "more collapsed networks do better on test images",
        Verdict.REFUTED: "more collapsed networks do worse on test images",
        Verdict.UNDECIDED: "whether collapse helps on test images is open",
    }[verdict]
    rows: list[tuple[str, ...]] = []
    for risk, runs in matched.items():
        found = summarise(by_seed[risk].dropna().to_numpy())
        rows.append((f"{risk:g}", "all", str(len(runs)), *["-"] * 3, f"{interval(found)}, n = {found.runs}"))
        for decay in evidence.labels("decay"):
            own = runs[runs["decay"] == decay]
            means = [interval(summarise(own[name].to_numpy())) for name in (EFFICIENCY, ACCURACY)]
            rows.append((f"{risk:g}", f"{decay:g}", str(len(own)), digits(own["epoch"].median()), *means, "-"))
    return Answer(
        verdict=verdict,
        headline=f"{what}: at equal training risk, efficiency and test accuracy have rank correlation "
        f"{interval(correlation)} over decays, n = {correlation.runs}.",
        header=("risk", "decay", "runs that get there", "median epoch", "efficiency", ACCURACY, "rank correlation"),
        rows=tuple(rows),
    )


def at_matched_risk(curves: pd.DataFrame, risk: float) -> pd.DataFrame:
    """The first recorded row of every run whose training risk is at most this."""
    reached = curves[curves["risk"] <= risk].sort_values("epoch")
    return reached.drop_duplicates(["decay", "seed"])


def rank_correlations(runs: pd.DataFrame) -> pd.Series:
    """Spearman's, over the decays, for every seed that has enough of them and in which both measures vary."""
    found = {}
    for seed, own in runs.groupby("seed"):
        rank = own[[EFFICIENCY, ACCURACY]].rank()
        if len(own) >= FEWEST_DECAYS and bool((rank.nunique() > 1).all()):
            found[seed] = float(rank[EFFICIENCY].corr(rank[ACCURACY]))
    return pd.Series(found, dtype=float)

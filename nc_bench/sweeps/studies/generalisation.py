"""Does collapse help on test images, at equal training risk?"""

from __future__ import annotations

import pandas as pd

from nc_bench.statistics import Summary, summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, Verdict, above, interval
from nc_bench.sweeps.tables import digits

MATCHED_RISK = 0.05
"""Training risk at whose first crossing runs are compared."""

NO_EFFECT = 0.0


def generalisation(evidence: Evidence) -> Answer:
    """Rank correlation over decays of efficiency and test accuracy where the training risk first is .05, by seed."""
    runs = at_matched_risk(evidence.curves)
    correlation = rank_correlation(runs)
    verdict = above(correlation, NO_EFFECT) if correlation.runs > 1 else Verdict.UNDECIDED
    what = {
        Verdict.SUPPORTED: "more collapsed networks do better on test images",
        Verdict.REFUTED: "more collapsed networks do worse on test images",
        Verdict.UNDECIDED: "whether collapse helps on test images is open",
    }[verdict]
    rows = []
    for decay in evidence.labels("decay"):
        own = runs[runs["decay"] == decay]
        means = [interval(summarise(own[name].to_numpy())) for name in ("risk", "simplex_efficiency", "test accuracy")]
        rows.append((f"{decay:g}", str(len(own)), digits(own["epoch"].median()), *means))
    return Answer(
        verdict=verdict,
        headline=f"{what}: at equal training risk, efficiency and test accuracy have rank correlation "
        f"{interval(correlation)} over decays, n = {correlation.runs}.",
        header=("decay", "runs that get there", "median epoch", "training risk", "efficiency", "test accuracy"),
        rows=tuple(rows),
    )


def at_matched_risk(curves: pd.DataFrame) -> pd.DataFrame:
    """The first recorded row of every run whose training risk is at most MATCHED_RISK."""
    reached = curves[curves["risk"] <= MATCHED_RISK].sort_values("epoch")
    return reached.drop_duplicates(["decay", "seed"])


def rank_correlation(runs: pd.DataFrame) -> Summary:
    """Spearman's, over the decays, seed by seed; a seed with fewer than three decays or no variation has none."""
    ranks = [seed[["simplex_efficiency", "test accuracy"]].rank() for _, seed in runs.groupby("seed") if len(seed) > 2]
    varied = [rank for rank in ranks if bool((rank.nunique() > 1).all())]
    return summarise([float(rank["simplex_efficiency"].corr(rank["test accuracy"])) for rank in varied])

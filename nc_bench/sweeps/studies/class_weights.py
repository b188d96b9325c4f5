"""From which class weights on do minority classes merge under weight decay, and do they under norm bounds?"""

from __future__ import annotations

import math

import pandas as pd

from nc_bench.statistics import Summary, summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, Verdict, above, all_of, interval
from nc_bench.sweeps.tables import digits

SIMPLEX_EFFICIENCY = 0.99
"""simplex_efficiency from which on the class means of a table count as a simplex."""

MERGED_ACCURACY = 0.95
"""Training accuracy below which some classes count as merged."""

TOLERANCE = 0.05
"""How far the threshold may be from the predicted one, relatively."""


def class_weights(evidence: Evidence) -> Answer:
    """The bracket of the merging ratio under decay against the prediction, and the least efficiency in the ball."""
    ratios = sorted(evidence.labels("ratio"))
    accuracy = pd.DataFrame({r: evidence.values("accuracy", arm="weight decay", ratio=r) for r in ratios})
    found, predicted = thresholds(accuracy), threshold(evidence)
    ball = {r: evidence.at("simplex_efficiency", arm="ball", ratio=r) for r in ratios}
    parts = [above(one, SIMPLEX_EFFICIENCY) for one in ball.values()]
    close = abs(found.mean / predicted - 1) <= TOLERANCE
    merges = found.runs == len(accuracy)
    parts.append(Verdict.UNDECIDED if not merges else Verdict.SUPPORTED if close else Verdict.REFUTED)
    verdict = all_of(parts)
    least = min(ball.values(), key=lambda one: one.mean)
    rows = tuple(
        (f"{r:g}", interval(ball[r]), interval(evidence.at("simplex_efficiency", arm="weight decay", ratio=r)),
         digits(evidence.mean("accuracy", arm="weight decay", ratio=r)))
        for r in ratios
    )  # fmt: skip
    return Answer(
        verdict=verdict,
        headline=f"under decay minorities merge at {interval(found)}:1, predicted {digits(predicted)}:1; in the ball "
        f"efficiency is {interval(least)} at least, n = {least.runs}.",
        header=("ratio", "efficiency, ball", "efficiency, weight decay", "accuracy, weight decay"),
        rows=rows,
        limits=("The threshold is known up to the step of the ratios tried, which its interval includes.",),
    )


def thresholds(accuracy: pd.DataFrame) -> Summary:
    """The middle, in logarithms, of the largest ratio that keeps all classes and the next, seed by seed.

    Columns are ratios in rising order. The interval is that over seeds, or the bracket
    where that is wider; a seed without a bracket within the ratios does not count.
    """
    brackets = []
    for row in (accuracy < MERGED_ACCURACY).to_numpy():
        first = int(row.argmax())
        if first > 0:
            brackets.append((float(accuracy.columns[first - 1]), float(accuracy.columns[first])))
    middle = summarise([math.sqrt(low * high) for low, high in brackets])
    if middle.runs < 2:
        return middle
    low, high = min(low for low, _ in brackets), max(high for _, high in brackets)
    return Summary(
        runs=middle.runs, mean=middle.mean, std=middle.std, low=min(middle.low, low), high=max(middle.high, high)
    )


def threshold(evidence: Evidence) -> float:
    """The ratio r at which the classes of weight 1 merge: their share p of the loss has p^2 = n lw lh.

    By `predict("minority_collapse")` the classifiers of minority classes of n_B of N samples coincide iff
    n_B <= N^2 lw lh. There n_B/N is the share of the loss, and n_B the number of feature vectors that are decayed; with
    weights r and 1 on five classes each of n samples the share is p = 1/(5 (r + 1)).
    """
    config = evidence.config(arm="weight decay")
    per_class = evidence.samples / 10
    share = math.sqrt(per_class * config.objective.weight_decay * config.objective.feature_decay)
    return 1 / (5 * share) - 1

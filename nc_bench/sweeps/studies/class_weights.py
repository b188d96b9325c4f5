"""What do vastly different class weights do, under norm bounds and under weight decay?"""

from __future__ import annotations

import math

from nc_bench.sweeps.studies.evidence import Evidence, plus_minus
from nc_bench.sweeps.tables import digits
from nc_bench.text import listed

SIMPLEX_EFFICIENCY = 0.95
"""simplex_efficiency from which on the class means count as a simplex."""

MERGED_ACCURACY = 0.95
"""Training accuracy below which some classes count as merged."""


def class_weights(evidence: Evidence) -> str:
    """Efficiency under the ball, and from which ratio on minority classes merge under decay, against the threshold."""
    ratios = evidence.labels("ratio")
    ball = [evidence.at("simplex_efficiency", arm="ball", ratio=ratio) for ratio in ratios]
    decay = [evidence.at("simplex_efficiency", arm="weight decay", ratio=ratio) for ratio in ratios]
    threshold = _threshold(evidence)
    broken = [ratio for ratio in ratios if evidence.mean("accuracy", arm="weight decay", ratio=ratio) < MERGED_ACCURACY]
    first = f"from {min(broken):g}:1 on" if broken else "at no ratio tried"
    kept = "keeps" if min(found.mean for found in ball) >= SIMPLEX_EFFICIENCY else "does not keep"
    return (
        f"The ball {kept} the simplex at every ratio (simplex_efficiency {listed([plus_minus(b) for b in ball])} at "
        f"{listed([f'{ratio:g}:1' for ratio in ratios])}), while under weight decay it is "
        f"{listed([plus_minus(d) for d in decay])} and minority classes can no longer be told apart {first}, where the "
        f"predicted threshold is {digits(threshold)}:1; {evidence.seeds()}."
    )


def _threshold(evidence: Evidence) -> float:
    """The ratio r at which the classes of weight 1 merge: their share p of the loss has p^2 = n lw lh.

    By `predict("minority_collapse")` the classifiers of minority classes of n_B of N samples coincide iff
    n_B <= N^2 lw lh. There n_B/N is the share of the loss, and n_B the number of feature vectors that are decayed; with
    weights r and 1 on five classes each of n samples the share is p = 1/(5 (r + 1)).
    """
    config = evidence.config(arm="weight decay")
    per_class = evidence.samples / 10
    share = math.sqrt(per_class * config.objective.weight_decay * config.objective.feature_decay)
    return 1 / (5 * share) - 1

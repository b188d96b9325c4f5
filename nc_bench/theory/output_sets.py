"""Outputs in convex sets other than balls."""

from __future__ import annotations

import math
from collections.abc import Sequence


def box_risk(lower: Sequence[float], upper: Sequence[float]) -> float:
    """Least balanced risk of outputs with l_j <= z_j <= u_j: (1/K) sum_c log(1 + sum_{j != c} e^(l_j - u_c)).

    The loss falls in the output of the true class and grows in all others: every sample of class c has z_c = u_c and
    z_j = l_j elsewhere. E & Wojtowytsch 2021, Cor. 3.2.
    """
    losses = [
        math.log1p(math.fsum(math.exp(other - own) for other in (*lower[:c], *lower[c + 1 :])))
        for c, own in enumerate(upper)
    ]
    return math.fsum(losses) / len(losses)

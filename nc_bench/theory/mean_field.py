"""Two-layer networks in the mean field scaling: how width, time and risk go together."""

from __future__ import annotations

import math

from scipy.optimize import brentq

from nc_bench.theory import checks


def time_scale(width: int) -> float:
    """m: by how much the gradient flow of (1/m) sum_i a_i s(w_i x + b_i) is slower than that of a sum without 1/m.

    Both take the same path of functions if the second starts from m^(-1/2) times the first's parameters and s(z) is
    positively homogeneous. So the first needs a learning rate of m times the other's, and in time t/m its neurons move
    as particles under one flow, whatever their number. E & Wojtowytsch 2021, Prop. 5.1 and Remark 5.7.
    """
    return float(checks.whole("width", width, 1))


def width_spread(width: int) -> float:
    """m^(-1/2): how the spread of f between random starts falls with the number m of neurons, at a given time t/m.

    The neurons start independently, and their flow depends on the mean of them all (law of large numbers).
    """
    return checks.whole("width", width, 1) ** -0.5


def log_risk(log_time: float) -> float:
    """-q with q - log q = log t, q > 1: the logarithm of the risk of two-layer networks long after the start.

    The outputs grow with the square of the parameters, and so the square of their gradient with the outputs:
    q' = C q e^-q with q = -log risk. So the outputs grow like log t, and q/log t is about 1 + (log log t)/log t.
    The constant C is left out: it is as good as a factor of t. E & Wojtowytsch 2021, Remark 5.5, integrated.
    """
    log_time = checks.real("log_time", log_time)
    if not 1 < log_time < math.inf:
        raise ValueError(f"log_time must be finite and above 1, got {log_time!r}")
    return -float(brentq(lambda q: q - math.log(q) - log_time, 1.0, 2 * log_time + 2, xtol=1e-12))

"""How often convex hulls meet by chance."""

from __future__ import annotations

import math

from nc_bench.theory import checks


def separable_share(points: int, width: int) -> float:
    """Of the 2^N labellings of N points in general position in R^d, the share that a hyperplane separates.

    2^(1-N) sum_{k <= d} C(N-1, k): the hulls of the two classes do not meet. An empty class meets nothing. One for
    N <= d+1, one half for N = 2d+2. Cover 1965, Theorem 1, for affine hyperplanes (homogeneous ones in R^(d+1)).
    """
    points, width = checks.whole("points", points, 1), checks.whole("width", width, 1)
    return math.fsum(math.comb(points - 1, k) for k in range(width + 1)) / 2 ** (points - 1)

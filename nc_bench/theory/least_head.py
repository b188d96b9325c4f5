"""Which heads reach given outputs from bounded features, and what their norm leaves open."""

from __future__ import annotations

import math


def least_head_norm(output_radius: float, radius: float) -> float:
    """The least spectral norm of W with W y_i = z_i, where |y_i| <= R = radius and the z_i are a simplex: r / R.

    output_radius: r = |z_i|. Attained where the y_i are a simplex of radius R and W is a multiple of an isometry.
    E & Wojtowytsch 2021, Lemma 4.1 (2) and (3), where r = R.
    """
    return output_radius / radius


def largest_centre(output_radius: float, radius: float, head_norm: float) -> float:
    """The largest |mean of the y_i| with |y_i| <= R, W y_i = z_i and |W|_op = s: sqrt(R^2 - (r/s)^2).

    The z_i sum to zero, so the mean lies in the kernel of W, and the rest of y_i has at least the norm r/s. Zero at
    the least norm s = r/R: this is Lemma 4.1 (1) of E & Wojtowytsch 2021, which says so of every W. That is right
    where the width is K-1; in larger widths the y_i can have a part that W does not see.
    Raises ValueError below the least norm.
    """
    if head_norm < least_head_norm(output_radius, radius):
        raise ValueError(f"no head of norm {head_norm!r} reaches {output_radius!r} from features of norm {radius!r}")
    return math.sqrt(radius**2 - (output_radius / head_norm) ** 2)

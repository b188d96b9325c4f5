"""Deep linear layers: class vectors on an orbit of the cyclic group, among them simplex, pairs and regular polygon."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from scipy import optimize

from nc_bench.theory import checks

MOST_ANGLES = 3
"""Orbits of more planes than this are left out, except the simplex, which has all: depth favours few."""

STARTS = (-0.7, 0.0, 0.7)
VANISHED = 1e-3


@dataclass(frozen=True, kw_only=True)
class Orbit:
    """Logits z_ij = sum over f of a_f cos(2 pi f (i - j)/K): their objective, the f that are there, and their rank."""

    objective: float
    frequencies: tuple[int, ...]
    rank: int


@cache
def best_cyclic_orbit(*, classes: int, layers: int, decay: float) -> Orbit:
    """The least objective of `deep_linear` (cross entropy, one sample a class) over logits that only depend on i - j.

    Frequency f in 1..K/2 has the singular value s_f twice (once for f = K/2) and adds s_f (2/K) cos(2 pi f (i - j)/K)
    to the logits (half of it for K/2); the objective is log sum_j e^(z_j - z_0) + (L l/2) sum s^(2/L). All frequencies
    alike are the simplex, the odd ones alike the K/2 pairs, one is a regular polygon, (1, K/2) a polygon prism or
    antiprism. It is an upper bound of the minimum: other states, as of classes of different kinds, may be lower.
    Numeric: L-BFGS-B from three starts for each set of up to 3 frequencies, and for those of simplex and pairs.
    Raises ValueError for classes < 2, layers < 2 or a decay that is not positive.
    """
    classes, layers = checks.whole("classes", classes, 2), checks.whole("layers", layers, 2)
    decay = checks.positive("decay", decay)
    every = range(1, classes // 2 + 1)
    sets = {chosen for number in range(1, MOST_ANGLES + 1) for chosen in combinations(every, number)}
    sets |= {tuple(every), tuple(range(1, classes // 2 + 1, 2))}
    found = (_best_of(chosen, classes, layers, decay) for chosen in sorted(sets))
    return min(found, key=lambda orbit: (orbit.objective, orbit.rank))


def _best_of(chosen: tuple[int, ...], classes: int, layers: int, decay: float) -> Orbit:
    multiplicity = np.array([1 if 2 * f == classes else 2 for f in chosen])
    waves = np.cos(2 * np.pi * np.outer(chosen, np.arange(classes)) / classes) * (multiplicity / classes)[:, None]
    leads, exponent = waves[:, :1] - waves, 2 / layers

    def objective(logarithms: np.ndarray) -> tuple[float, np.ndarray]:
        singular = np.exp(logarithms)
        others = np.exp(-(singular @ leads))
        total = float(others.sum())
        price = layers * decay / 2 * multiplicity * singular**exponent
        slope = -(leads @ others) / total * singular + price * exponent
        return math.log(total) + float(price.sum()), slope

    typical = math.log(8 * classes / multiplicity.sum())
    tilt = np.linspace(1, -1, len(chosen)) if len(chosen) > 1 else np.ones(1)
    starts = [np.full(len(chosen), typical) + start * tilt for start in STARTS]
    best = min(
        (optimize.minimize(objective, start, jac=True, method="L-BFGS-B", tol=1e-14) for start in starts),
        key=lambda found: found.fun,
    )
    singular = np.exp(best.x)
    kept = singular > VANISHED * singular.max()
    frequencies = tuple(f for f, there in zip(chosen, kept, strict=True) if there)
    return Orbit(objective=float(best.fun), frequencies=frequencies, rank=int(multiplicity[kept].sum()))

"""Norm-bounded features and head under unequal class weights and a free bias: a convex programme.

Classes of equal weight are interchangeable, so by convexity an optimum treats them alike: unknowns are one number per
group of equal weights, whatever the number of classes. A solution carries a bound on what it lacks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NEWTON_STEPS = 100


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Classes by their weight: `member[c]` is the group of class c, `sizes` its classes, `weights` theirs.

    Weights sum to 1 over all classes.
    """

    member: tuple[int, ...]
    sizes: Array
    weights: Array

    @property
    def shares(self) -> Array:
        """Weight of each group as a whole."""
        return self.sizes * self.weights

    @property
    def wrong(self) -> Array:
        """Row g: how many classes of each group are wrong for a class of group g."""
        return self.sizes - np.eye(len(self.sizes))


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """The weighted risk, the risk of each class, and by how much the weighted risk can lie above the smallest."""

    objective: float
    class_risks: tuple[float, ...]
    gap: float


def groups_of(weights: Sequence[float]) -> Groups:
    """Groups of equal weight, the largest weight first; weights within 1e-12 of each other are equal."""
    levels: list[float] = []
    for weight in sorted(weights, reverse=True):
        if not levels or weight < levels[-1] * (1 - 1e-12):
            levels.append(weight)
    member = [next(i for i, level in enumerate(levels) if weight >= level * (1 - 1e-12)) for weight in weights]
    sizes = np.bincount(member, minlength=len(levels)).astype(float)
    return Groups(member=tuple(member), sizes=sizes, weights=np.array(levels) / math.fsum(weights))


def signed_with_bias(weights: Sequence[float], budget: float) -> Optimum:
    """min over b of sum_c pi_c min {Phi_c(z + b): |z| <= R S, 1.z = 0}, Phi_c(z) = log sum_j e^(z_j) - z_c.

    Convex in b: Newton's method, with the bias of group 0 at 0. At the optimum pi_j/pi_i lies within a factor
    e^(sqrt(2) R S) of e^(b_j - b_i), which bounds its distance from the b that is found, and with the slope there what
    the objective lacks.
    """
    groups = groups_of(weights)
    bias = np.log(groups.weights / groups.weights[0]) * min(1.0, 1 / budget)
    point = _at(groups, bias, budget)
    for _ in range(NEWTON_STEPS):
        step = np.concatenate([[0.0], -np.linalg.solve(point.curvature[1:, 1:], point.slope[1:])])
        trials = (_at(groups, bias + step / 2**halvings, budget) for halvings in range(40))
        better = next((trial for trial in trials if trial.is_below(point)), None)
        if better is None:
            break
        point, bias = better, better.bias
    reach = 2 * budget + float(np.abs(bias).max()) + math.log(max(weights) / min(weights))
    return Optimum(
        objective=float(groups.shares @ point.risks),
        class_risks=tuple(float(point.risks[group]) for group in groups.member),
        gap=float(np.abs(point.slope).sum()) * reach,
    )


@dataclass(frozen=True, kw_only=True)
class _Point:
    """The programme at one bias: risk of each group, slope and curvature of their weighted sum."""

    bias: Array
    value: float
    risks: Array
    slope: Array
    curvature: Array

    def is_below(self, other: _Point) -> bool:
        """Whether this is nearer to the minimum; where values are equal to rounding, by the slope."""
        if self.value < other.value * (1 - 1e-14):
            return True
        return self.value <= other.value * (1 + 1e-14) and np.abs(self.slope).sum() < np.abs(other.slope).sum()


def _at(groups: Groups, bias: Array, budget: float) -> _Point:
    """Rows: the group of the true class; columns: that of another. Wrong classes have the logits -l + b.

    Given b, stationarity on the sphere reads p_j = -lambda z_j for the wrong classes, so that l_j = -z_j is the Wright
    omega function of b_j - tau. Differences from 1 are never formed: a probability that is nearly 1 loses no digit.
    """
    wrong, shares, count = groups.wrong, groups.shares, len(bias)
    lengths = _lengths(groups, bias, budget)
    own = (wrong * lengths).sum(1, keepdims=True)
    with np.errstate(divide="ignore"):
        odds = np.log(wrong) - lengths - own + bias - bias[:, None]
    risks = np.logaddexp(0.0, np.logaddexp.reduce(odds, axis=1))
    probability = np.exp(odds - risks[:, None])
    apart = 1 - np.eye(count)
    # What db_k does to l_j: (j = k) - pull_k, times the rate; and then to odds and probabilities, one axis more.
    rate = lengths / (1 + lengths)
    pull = wrong * (lengths + own) * rate
    pull /= pull.sum(1, keepdims=True)
    all_lengths = wrong * rate - pull * (wrong * rate).sum(1, keepdims=True)
    each = np.eye(count)
    moved = each * (1 - rate[:, :, None]) + rate[:, :, None] * pull[:, None, :] - (all_lengths + each)[:, None, :]
    mean = np.einsum("gj,gjk->gk", probability, moved)
    change = shares[:, None, None] * (probability * apart)[:, :, None] * (moved - mean[:, None, :])
    flow = shares[:, None] * probability * apart
    return _Point(
        bias=bias,
        value=float(shares @ risks),
        risks=risks,
        slope=flow.sum(0) - flow.sum(1),
        curvature=change.sum(0) - change.sum(1),
    )


def _lengths(groups: Groups, bias: Array, budget: float) -> Array:
    """l with sum l^2 + (sum l)^2 = budget^2 over the wrong classes: tau by Newton's method within a bracket.

    Were all lengths equal, they would be budget/sqrt(K (K-1)): below the smallest b they are at least that, above the
    largest at most.
    """
    from scipy.special import wrightomega  # slow to load

    wrong, classes = groups.wrong, len(groups.member)
    equal = budget / math.sqrt(classes * (classes - 1))
    low = np.full((len(bias), 1), bias.min() - equal - math.log(equal))
    high = np.full((len(bias), 1), bias.max() - equal - math.log(equal))
    tau = (low + high) / 2
    for _ in range(NEWTON_STEPS):
        lengths = np.asarray(wrightomega(bias - tau).real)
        own = (wrong * lengths).sum(1, keepdims=True)
        square = (wrong * lengths**2).sum(1, keepdims=True) + own**2
        excess = np.log(square) / 2 - math.log(budget)
        low, high = np.where(excess > 0, tau, low), np.where(excess > 0, high, tau)
        step = excess * square / (wrong * (lengths + own) * lengths / (1 + lengths)).sum(1, keepdims=True)
        newton = tau + step
        following = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        if (np.abs(following - tau) <= 4e-16 * (1 + np.abs(tau))).all():
            break
        tau = following
    return lengths

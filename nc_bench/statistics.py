"""Statistics of a few independent numbers: t intervals, differences, equivalence, several tests at once, binomials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

LEVEL = 0.95

HUGE = 2.0**500
"""Squares of larger numbers, and sums of them, may be infinite."""

Numbers = Sequence[float] | NDArray[np.float64]
Floats = float | NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Statistics of values over seeds.

    runs: how many there are. mean and std: the unbiased one (divides by runs - 1), NaN for fewer than two. low, high:
    ends of the 95 % t interval of the mean, both NaN for fewer than two values.
    """

    runs: int
    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A mean difference of two arms.

    runs: pairs, or the runs of the smaller arm where they are not paired. error: standard error of the mean difference.
    freedom: its degrees of freedom. low, high: its 95 % t interval. p_value: of the two-sided t test that it is 0. With
    fewer than two runs there are only the first two of these.
    """

    runs: int
    mean: float
    error: float
    freedom: float
    low: float
    high: float
    p_value: float


def summarise(values: Numbers) -> Summary:
    """Mean, standard deviation and t interval of the values that are finite."""
    numbers = _finite(values)
    if len(numbers) == 0:
        return Summary(runs=0, mean=np.nan, std=np.nan, low=np.nan, high=np.nan)
    if len(numbers) == 1:
        return Summary(runs=1, mean=float(numbers[0]), std=np.nan, low=np.nan, high=np.nan)
    # A power of two changes no digit, and keeps sums and squares of the largest numbers finite.
    scale = HUGE**1.2 if float(np.abs(numbers).max()) > HUGE else 1.0
    numbers = numbers / scale
    mean, std = float(numbers.mean()), float(numbers.std(ddof=1))
    low, high = t_interval(mean, std / math.sqrt(len(numbers)), len(numbers) - 1)
    mean, std, low, high = (scale * number for number in (mean, std, float(low), float(high)))
    return Summary(runs=len(numbers), mean=mean, std=std, low=low, high=high)


def paired_difference(first: Numbers, second: Numbers, *, step: float = 0.0) -> Difference:
    """first minus second, pair by pair (the same seed); pairs with a value that is not finite do not count.

    step: how much either value may be off because it was read from a grid. The interval is wider by it at both ends,
    and p_value is that of a mean difference smaller by it, so that what the grid could have made is no effect.
    """
    with np.errstate(over="ignore"):
        found = summarise(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64))
    error = found.std / math.sqrt(max(found.runs, 1))
    return _difference(found.runs, found.mean, error, found.runs - 1.0, step)


def unpaired_difference(first: Numbers, second: Numbers, *, step: float = 0.0) -> Difference:
    """mean(first) - mean(second) of runs that have nothing in common, by Welch's t: the variances may differ."""
    parts = [summarise(first), summarise(second)]
    runs, mean = min(part.runs for part in parts), parts[0].mean - parts[1].mean
    if runs < 2:
        return _difference(runs, mean, math.nan, math.nan, step)
    errors = [part.std / math.sqrt(part.runs) for part in parts]
    error = math.hypot(*errors)
    if error == 0:
        return _difference(runs, mean, error, runs - 1.0, step)
    spread = sum((own / error) ** 4 / (part.runs - 1) for own, part in zip(errors, parts, strict=True))
    return _difference(runs, mean, error, 1 / spread, step)


def t_interval(mean: Floats, error: Floats, freedom: float) -> tuple[Floats, Floats]:
    """mean -+ t(97.5 %, freedom) error: the 95 % interval of a mean with this standard error. Arrays broadcast."""
    reach = float(special.stdtrit(freedom, (1 + LEVEL) / 2)) * error
    return mean - reach, mean + reach


def equivalence_p(difference: Difference, margin: float) -> float:
    """p of two one-sided t tests (TOST) that the difference is at least `margin` away from 0; NaN where it has none.

    Below .05 the two are the same up to the margin: the 90 % interval of the difference lies within it. ValueError for
    a margin that is not positive.
    """
    if margin <= 0:
        raise ValueError(f"margin should be positive, not {margin}")
    excess = abs(difference.mean) - margin
    return _tail(excess, difference.error, difference.freedom)


def holm(p: Numbers) -> NDArray[np.float64]:
    """Holm's adjusted p values of a family of tests, in their order; NaN are no tests, and stay NaN.

    The i-th smallest of m is multiplied by m - i + 1, made monotone, and is at most 1. To reject where the adjusted
    value is below .05 errs in any of the tests with probability 5 % at most, however they depend on each other.
    """
    given = np.asarray(p, dtype=np.float64)
    adjusted = np.full(len(given), np.nan)
    tests = np.flatnonzero(~np.isnan(given))
    order = tests[np.argsort(given[tests], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * given[order]), 1.0)
    return adjusted


def binomial_tail(successes: int, trials: int, share: float) -> float:
    """P(X >= successes) for X ~ Binomial(trials, share): how likely chance is to do at least as well."""
    if successes <= 0:
        return 1.0
    return float(special.betainc(successes, trials - successes + 1, share)) if successes <= trials else 0.0


def binomial_interval(successes: int, trials: int) -> tuple[float, float]:
    """The exact 95 % interval of a share (Clopper and Pearson 1934), for example of an accuracy.

    ValueError unless 0 <= successes <= trials and trials >= 1.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"should be 0 <= successes <= trials, trials >= 1; not {successes} and {trials}")
    tail = (1 - LEVEL) / 2
    low = float(special.betaincinv(successes, trials - successes + 1, tail)) if successes else 0.0
    high = float(special.betaincinv(successes + 1, trials - successes, 1 - tail)) if successes < trials else 1.0
    return low, high


def _difference(runs: int, mean: float, error: float, freedom: float, step: float) -> Difference:
    low, high = t_interval(mean, error, freedom) if runs > 1 else (math.nan, math.nan)
    p = min(1.0, 2 * _tail(-max(abs(mean) - step, 0.0), error, freedom)) if runs > 1 else math.nan
    return Difference(
        runs=runs, mean=mean, error=error, freedom=freedom, low=float(low) - step, high=float(high) + step, p_value=p
    )


def _tail(value: float, error: float, freedom: float) -> float:
    """P(T <= value/error) of Student's t; without any spread the value is exact, and 0 is told from nothing."""
    if error == 0:
        return 0.0 if value < 0 else 0.5 if value == 0 else 1.0
    return float(special.stdtr(freedom, value / error))


def _finite(values: Numbers) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    return numbers[np.isfinite(numbers)]

"""When a run counts as converged: one definition, for the verdicts on a run and for studies over many."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CONVERGED_CHANGE = 0.005
"""Change of simplex_efficiency over the last tenth of training above which a run counts as not converged."""

LEARNING_SHARE = 0.05
"""Share of the training risk's range that the last tenth of the summed learning rate may cover. It covers a tenth where
a run goes steadily down a slope, as one does that hardly trains."""

STATIONARITY = "stationarity_residual"
STATIONARY = 0.1
"""Relative residual of the head's stationarity below which a run counts as converged."""

COLUMNS = ("epoch", "simplex_efficiency", "accuracy", "risk", "learning_rate", STATIONARITY)
"""The columns that `converged` reads; the last may be missing."""

DEFINITION = (
    f"the head's stationarity residual is below {STATIONARY} where that law applies, else simplex_efficiency moved by "
    f"less than {CONVERGED_CHANGE} over the last tenth of training, and the training error is zero or the risk moved "
    f"by at most {LEARNING_SHARE:.0%} of its range over the last tenth of the summed learning rate"
)
"""The definition with `by_stationarity` in words."""


def converged(train: pd.DataFrame, *, by_stationarity: bool) -> bool:
    """Whether a run has come to rest, from its recorded rows of the training split's penultimate layer.

    by_stationarity: the head's stationarity residual decides alone where the last row has one (studies); without it,
    and wherever there is none, simplex_efficiency moves no more and training has done what it will do (verdicts).

    simplex_efficiency moved by less than CONVERGED_CHANGE over the last tenth of the recorded epochs; and the training
    error is zero, or the training risk moved by at most LEARNING_SHARE of its range while the last tenth of the summed
    learning rate was spent, so that a run too slow to have moved at all has not converged, whatever its schedule.

    Where fewer epochs are recorded, the tenth begins with the last record before it; one record alone says nothing.
    """
    if by_stationarity and STATIONARITY in train:
        residual = float(train[STATIONARITY].iloc[-1])
        if not math.isnan(residual):
            return residual < STATIONARY
    epochs = train["epoch"].to_numpy()
    still = _range(train["simplex_efficiency"][_last_tenth(epochs)]) < CONVERGED_CHANGE
    interpolates = float(train["accuracy"].iloc[-1]) == 1
    return len(train) > 1 and still and (interpolates or _has_learnt(train, epochs))


def _has_learnt(train: pd.DataFrame, epochs: NDArray[Any]) -> bool:
    rates = train["learning_rate"].to_numpy()
    spent = np.cumsum(np.diff(epochs) * (rates[1:] + rates[:-1]) / 2, dtype=np.float64)
    return _range(train["risk"][_last_tenth(np.append(0.0, spent))]) <= LEARNING_SHARE * _range(train["risk"])


def _last_tenth(progress: NDArray[Any]) -> slice:
    """The records of the last tenth of an increasing quantity, from the last one before it on."""
    begin = progress[-1] - 0.1 * (progress[-1] - progress[0])
    return slice(int(np.flatnonzero(progress <= begin)[-1]), None)


def _range(values: pd.Series) -> float:
    return float(values.max() - values.min())

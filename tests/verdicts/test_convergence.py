"""When a run counts as converged."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from nc_bench.verdicts.convergence import COLUMNS, converged


def train_rows(efficiencies: list[float]) -> pd.DataFrame:
    """A row per epoch of a run that classifies all training samples right and whose learning rate is constant."""
    rows = [{"epoch": epoch, "simplex_efficiency": value} for epoch, value in enumerate(efficiencies, 1)]
    return pd.DataFrame(rows).assign(accuracy=1.0, risk=77.0, learning_rate=0.1)


@pytest.mark.parametrize(
    ("efficiencies", "still"),
    [
        ([0.1] * 36 + [0.9, 0.9, 0.9, 0.9, 0.9049], True),
        ([0.1] * 36 + [0.9, 0.9, 0.9, 0.9, 0.9051], False),
        ([0.1] * 36 + [0.9, 0.9, 0.91, 0.9, 0.9], False),
        ([0.1] * 37 + [0.9, 0.9, 0.9, 0.9], False),
        ([0.1] * 36 + [0.9] * 5, True),
        ([0.9, 0.9], True),
        ([0.8, 0.9], False),
        ([0.9], False),
    ],
)
def test_converged_means_no_change_over_the_last_tenth(efficiencies: list[float], still: bool) -> None:
    assert converged(train_rows(efficiencies), by_stationarity=False) is still


@pytest.mark.parametrize(("before", "still"), [(0.9, True), (0.8, False)])
def test_where_few_epochs_are_recorded_the_last_one_before_the_tenth_counts(before: float, still: bool) -> None:
    train = train_rows([0.1, 0.2, before, 0.9]).assign(epoch=[1, 100, 251, 300])
    assert converged(train, by_stationarity=False) is still


def judged_by_learning(risks: list[float], rates: list[float], accuracy: float) -> bool:
    train = train_rows([0.01] * len(risks))
    return converged(train.assign(risk=risks, learning_rate=rates, accuracy=accuracy), by_stationarity=False)


CONSTANT = [1.0] * 101
COSINE = [(1 + math.cos(math.pi * epoch / 100)) / 2 for epoch in range(101)]
STEPS = [1.0] * 50 + [0.1] * 25 + [0.01] * 26


@pytest.mark.parametrize("rates", [CONSTANT, COSINE, STEPS])
def test_a_run_that_hardly_trains_has_not_converged(rates: list[float]) -> None:
    """Its efficiency does not move, because nothing does: the risk falls in step with the learning rate."""
    spent = [sum(rates[:epoch]) for epoch in range(101)]
    slow = [2.3 - 1e-4 * done / spent[-1] for done in spent]
    assert not judged_by_learning(slow, rates, accuracy=0.1)
    learnt = [2.3 * math.exp(-20 * done / spent[-1]) for done in spent]
    assert judged_by_learning(learnt, rates, accuracy=0.9)


def test_at_zero_training_error_little_is_left_to_learn() -> None:
    risks = [1e-3 + 1e-5 * (epoch % 2) for epoch in range(101)]
    assert judged_by_learning(risks, CONSTANT, accuracy=1.0)
    assert not judged_by_learning(risks, CONSTANT, accuracy=0.99)


@pytest.mark.parametrize("efficiencies", [[0.8, 0.9], [0.9, 0.9]])
@pytest.mark.parametrize(("residual", "still"), [(0.0999, True), (0.1, False), (math.nan, None)])
def test_only_where_it_is_asked_for_stationarity_decides(
    efficiencies: list[float], residual: float, still: bool | None
) -> None:
    plain = train_rows(efficiencies)
    otherwise = converged(plain, by_stationarity=True)
    train = plain.assign(stationarity_residual=[5.0, residual])[list(COLUMNS)]
    assert converged(train, by_stationarity=True) is (otherwise if still is None else still)
    assert converged(train, by_stationarity=False) is otherwise is (efficiencies[0] == 0.9)

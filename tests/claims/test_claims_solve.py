"""The two solvers against SciPy's minimisers of the written-out problem, and the bound that every iterate respects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from theory_minimisers import cross_entropy, minimise_ball, minimise_decay, minimise_energy, squared_error

from nc_bench.claims.problems import chosen_classes, unconstrained
from nc_bench.claims.solve import CPU, descend, minimise, objective_of
from nc_bench.training.ensemble import Ensemble

COUNTS = (5, 2, 1)
DECAYS = {"head_decay": 0.02, "feature_decay": 0.01}
LOSSES = {"cross_entropy": cross_entropy, "mse": squared_error}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize(("loss", "smoothing"), [("cross_entropy", 0.0), ("cross_entropy", 0.1), ("mse", 0.0)])
def test_decayed_problems_have_the_same_minimum(loss: str, smoothing: float, nonnegative: bool, bias: bool) -> None:
    """Unequal classes, for which the theory has no formula: nothing could have been looked up."""
    section = {
        "loss": loss,
        "label_smoothing": smoothing,
        "weight_decay": DECAYS["head_decay"],
        "feature_decay": DECAYS["feature_decay"],
    }
    config = unconstrained(9, nonnegative=nonnegative, bias=bias, objective=section)
    found = minimise(config, chosen_classes(COUNTS), starts=3)
    options: dict[str, Any] = {"label_smoothing": smoothing, "nonnegative": nonnegative, "bias": bias}
    other = [minimise_decay(COUNTS, 9, **DECAYS, loss=LOSSES[loss], seed=seed, **options) for seed in range(3)]
    assert found.objective == pytest.approx(min(solution.objective for solution in other), rel=1e-9)
    assert (found.features.min() >= 0) == nonnegative or not nonnegative
    assert found.lowest == found.objective


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_bounded_problems_have_the_same_minimum(nonnegative: bool, bias: bool) -> None:
    """Unequal class weights with a bias or non-negative features: no formula either."""
    weights = (8.0, 2.0, 1.0)
    constraints = {"features": {"radius": 1.5}, "head": {"radius": 0.8}}
    trials = [
        unconstrained(
            4,
            seed=seed,
            nonnegative=nonnegative,
            bias=bias,
            constraints=constraints,
            objective={"class_weights": weights},
            learning_rate=0.3,
            feature_rate=5,
        )
        for seed in range(2)
    ]
    found = min(solution.objective for solution in descend(trials, chosen_classes([1] * 3), steps=1500))
    problem: dict[str, Any] = {"head_norm": 0.8, "class_weights": weights, "nonnegative": nonnegative, "bias": bias}
    other = min(minimise_ball(3, 4, 1.5, seed=seed, **problem).objective for seed in range(2))
    assert found == pytest.approx(other, rel=1e-7)


def test_mean_square_bounds_have_the_same_minimum() -> None:
    constraints = {
        "features": {"radius": 2.0**0.5, "set": "mean_square"},
        "head": {"radius": 0.7**0.5, "set": "mean_square"},
    }
    (found,) = descend([unconstrained(4, constraints=constraints, feature_rate=5)], chosen_classes([1] * 3), 800)
    assert found.objective == pytest.approx(minimise_energy(3, 4, 0.7, 2.0).objective, rel=1e-9)


def test_the_lowest_iterate_is_recorded_and_no_iterate_leaves_the_sets() -> None:
    """Steps so long that the objective goes up and down: the lowest value is none of the last."""
    constraints = {"features": {"radius": 3.0}, "head": {"radius": 1.0}}
    config = unconstrained(3, constraints=constraints, learning_rate=30, feature_rate=2)
    data = chosen_classes([2, 1, 1])
    values = [descend([config], data, steps=steps)[0].objective for steps in range(12)]
    (last,) = descend([config], data, steps=11)
    assert last.objective == values[-1]
    assert last.lowest == min(values) < values[-1]
    assert float(last.features.norm(dim=1).max()) <= 3 * (1 + 1e-12)
    assert float(torch.linalg.matrix_norm(last.weight, 2)) <= 1 + 1e-12


def test_trials_do_not_know_each_other() -> None:
    constraints = {"features": {"radius": 3.0}, "head": {"radius": 1.0}}
    trials = [unconstrained(4, seed=seed, constraints=constraints) for seed in (3, 8)]
    data = chosen_classes([2, 3])
    together = descend(trials, data, steps=20)
    for trial, found in zip(trials, together, strict=True):
        (alone,) = descend([trial], data, steps=20)
        assert torch.equal(alone.features, found.features)
        assert (alone.objective, alone.lowest) == (found.objective, found.lowest)
    assert not torch.equal(together[0].features, together[1].features)


def test_the_objective_is_loss_and_both_penalties() -> None:
    config = unconstrained(4, bias=True, objective={"weight_decay": 0.3, "feature_decay": 0.2})
    ensemble = Ensemble([config], chosen_classes(COUNTS), CPU)
    (start,) = descend([config], chosen_classes(COUNTS), steps=0)
    features, weight, labels = (part.numpy() for part in (start.features, start.weight, start.labels))
    assert start.bias is not None
    value, _ = cross_entropy(features @ weight.T + start.bias.numpy(), np.eye(3)[labels], np.full(8, 1 / 8))
    expected = value + 0.15 * (weight**2).sum() + 0.1 * (features**2).sum()
    assert objective_of(ensemble).item() == pytest.approx(expected, rel=1e-13)


def test_classes_are_chosen_freely() -> None:
    data = chosen_classes((3, 1, 2))
    assert data.train_labels.tolist() == [0, 0, 0, 1, 2, 2]
    assert (data.classes, len(data.test_labels)) == (3, 0)

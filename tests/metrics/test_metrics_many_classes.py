"""Any number of classes: tiles and blocks give the numbers of whole tables, and nothing of size K^2 is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from metric_problems import Problem, disagreements, problems, small_problem
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from scipy.special import logsumexp
from torch.utils._python_dispatch import TorchDispatchMode

from nc_bench import collapse_metrics
from nc_bench.metrics import (
    class_outputs,
    class_pairs,
    collapse,
    measure_features,
    null_baseline,
    second_pass,
    why_no_null,
)

some = settings(max_examples=10, deadline=None)


@contextmanager
def no_tables(tile: int) -> Iterator[None]:
    """As if every number of classes were too large for tables of pairs."""
    with (
        patch.object(class_pairs, "WHOLE", 0),
        patch.object(class_pairs, "TILE", tile),
        patch.object(class_outputs, "BLOCK_ELEMENTS", 2 * tile),
        patch.object(second_pass, "BLOCK_ELEMENTS", 3 * tile),
    ):
        yield


@some
@example(small_problem(classes=5), np.float32, 2)
@given(problems(), st.sampled_from([np.float64, np.float32]), st.integers(2, 4))
def test_tiles_and_blocks_give_the_numbers_of_whole_tables(problem: Problem, dtype: type, tile: int) -> None:
    problem = problem.changed(features=problem.features.astype(dtype))
    whole = collapse_metrics(*problem.arguments())
    with no_tables(tile):
        tiled = collapse_metrics(*problem.arguments())
        skipped = collapse_metrics(*problem.arguments(), minimum_samples=2) if many(problem) else None
    assert disagreements(tiled, problem, whole) == {} and tiled.reasons == whole.reasons
    for name, column in whole.per_class.items():
        assert tiled.per_class[name] == pytest.approx(column, rel=1e-6, abs=1e-9, nan_ok=True)
    if skipped is not None:
        expected = collapse_metrics(*problem.arguments(), minimum_samples=2)
        assert skipped.left_out == expected.left_out and skipped.reasons == expected.reasons
        assert skipped == pytest.approx(expected, rel=1e-5, abs=1e-9, nan_ok=True)


def many(problem: Problem) -> bool:
    return bool((np.bincount(problem.labels) > 1).sum() > 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_stacked_trials_with_centres_of_their_own_need_no_tables_either(dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(0)
    means = torch.randn(3, 7, 4, generator=random, dtype=torch.float64)
    labels = torch.stack([torch.randperm(28, generator=random) % 7 for _ in range(3)])
    noise = 0.5 * torch.randn(3, 28, 4, generator=random, dtype=torch.float64)
    features = (means.take_along_dim(labels[..., None], 1) + noise).to(dtype)
    centres = means + 0.3 * torch.randn(3, 7, 4, generator=random, dtype=torch.float64)
    whole = measure_features(features, labels, classes=7, centres=centres).metrics
    with no_tables(3):
        tiled = measure_features(features, labels, classes=7, centres=centres).metrics
        alone = [
            measure_features(features[t : t + 1], labels[t : t + 1], classes=7, centres=centres[t : t + 1]).metrics[0]
            for t in range(3)
        ]
    for mine, expected, single in zip(tiled, whole, alone, strict=True):
        assert mine == pytest.approx(expected, rel=1e-6) and mine == pytest.approx(single, rel=1e-12)
        assert mine["ncc_accuracy"] == expected["ncc_accuracy"] < 1


def test_classes_that_share_a_mean_or_a_direction_are_found_in_every_tile() -> None:
    trial = small_problem(classes=6, each=1)
    rows = trial.features - trial.features.mean(0)
    rows[4], rows[1] = rows[2], 3 * rows[0]
    rows[3] -= rows.sum(0)
    trial = trial.changed(features=rows)
    with no_tables(2):
        reasons = collapse_metrics(*trial.arguments()).reasons
    assert reasons == collapse_metrics(*trial.arguments()).reasons
    assert reasons["nc1_cdnv"] == "classes 2 and 4 sharing a mean"
    assert reasons["gnc2_log_kernel"] == "classes 0, 1, 2 and 4 with their means in one direction"


class Largest(TorchDispatchMode):
    """The largest number of entries of any tensor that is made."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        parts = made if isinstance(made, tuple | list) else [made]
        tensors = [part for part in parts if isinstance(part, torch.Tensor)]
        self.entries = max([self.entries, *(x.untyped_storage().nbytes() // x.element_size() for x in tensors)])
        return made


@pytest.mark.parametrize("classes", [2200, pytest.param(5000, marks=pytest.mark.slow)])
def test_many_classes_of_unequal_sizes_without_a_table_of_their_pairs(classes: int) -> None:
    random, width = np.random.default_rng(0), 6
    sizes = np.maximum(1, 300 // np.arange(1, classes + 1))
    labels = random.permutation(np.repeat(np.arange(classes), sizes))
    means = random.standard_normal((classes, width))
    features: NDArray[Any] = (means[labels] + 0.1 * random.standard_normal((len(labels), width))).astype(np.float32)
    largest = Largest()
    with patch.object(collapse, "PRODUCT_ELEMENTS", 2**20), largest:
        metrics = collapse_metrics(features, labels, means)
    assert largest.entries < classes**2 / 2
    exact = features.astype(np.float64)
    found = np.zeros_like(means)
    np.add.at(found, labels, exact)
    found /= sizes[:, None]
    spread = np.bincount(labels, np.square(exact - found[labels]).sum(1)) / sizes
    rows = found - found.mean(0)
    apart, cosines = pdist(rows), 1 - pdist(rows, "cosine")
    first, second = np.triu_indices(classes, 1)
    assert metrics["nc1_cdnv"] == pytest.approx(np.mean((spread[first] + spread[second]) / (2 * apart**2)), rel=1e-6)
    assert metrics["nc2_equidistant"] == pytest.approx(apart.std(ddof=1) / apart.mean(), rel=1e-9)
    assert metrics["nc2_equiangular"] == pytest.approx(np.mean(np.abs(cosines + 1 / (classes - 1))), rel=1e-9)
    assert metrics["gnc2_log_kernel"] == pytest.approx(np.mean(-np.log(2 - 2 * cosines) / 2), rel=1e-9)
    few = labels < 20
    outputs, own = exact[few] @ means.T, labels[few]
    losses = logsumexp(outputs, 1) - np.take_along_axis(outputs, own[:, None], 1)[:, 0]
    for name, values in (("risk", losses), ("accuracy", outputs.argmax(1) == own)):
        expected = np.bincount(own, values) / sizes[:20]
        assert metrics.per_class[name][:20] == pytest.approx(expected, rel=1e-6)


def test_no_null_is_drawn_for_more_than_two_thousand_classes() -> None:
    assert all(np.isnan(value) for value in null_baseline(2001, 4).values())
    assert why_no_null(2001) == "there are 2001 classes, and random class means are drawn for up to 2000"
    assert why_no_null(2000) is None

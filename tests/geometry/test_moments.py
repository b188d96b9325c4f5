"""Counts, class means and within-class scatter: exact, and the same in whatever blocks and order they come."""

from __future__ import annotations

import copy
import math
from functools import reduce

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from nc_bench import ClassMoments
from nc_bench.geometry.moments import ClassSums

Array = NDArray[np.float64]
some = settings(max_examples=25, deadline=None)


def expected_moments(features: Array, labels: NDArray[np.int64], classes: int) -> tuple[Array, Array, Array]:
    """Counts, means and scatter, each class relative to its first sample: an offset costs no digits."""
    width = features.shape[1]
    counts, means, scatter = np.zeros(classes), np.full((classes, width), np.nan), np.zeros((width, width))
    for c in range(classes):
        members = features[labels == c].astype(np.float64)
        counts[c] = len(members)
        if len(members):
            relative = members - members[0]
            mean = np.array([math.fsum(column) for column in relative.T]) / len(members)
            means[c] = members[0] + mean
            scatter += (relative - mean).T @ (relative - mean)
    return counts, means, scatter


def moments_of(features: Array, labels: NDArray[np.int64], classes: int) -> ClassMoments:
    moments = ClassMoments(classes, features.shape[1])
    moments.update(torch.as_tensor(features), torch.as_tensor(labels))
    return moments


def assert_equal(moments: ClassMoments, expected: tuple[Array, Array, Array], *, blocks: bool = True) -> None:
    """Up to rounding: that of the means enters the scatter squared, and of merged blocks times their differences."""
    counts, means, scatter = expected
    rounding = 1e-15 * (1 + np.nanmax(np.abs(means), initial=0))
    np.testing.assert_array_equal(moments.counts.numpy(), counts)
    np.testing.assert_allclose(moments.means.numpy(), means, rtol=1e-14, atol=rounding)
    room = 1e-12 * np.abs(scatter).max(initial=0) + counts.sum() * rounding**2
    if blocks:
        room += rounding * math.sqrt(counts.sum() * np.trace(scatter))
    np.testing.assert_allclose(moments.within_scatter.numpy(), scatter, rtol=0, atol=room)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[Array, NDArray[np.int64], int, list[NDArray[np.int64]]]:
    """Features, labels, K, and the samples of every block: some blocks and classes are empty."""
    classes, width, samples = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(0, 30))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scatter, offset = draw(st.sampled_from([1.0, 1e-6])), draw(st.sampled_from([0.0, 1e3]))
    labels = random.integers(classes, size=samples)
    features = offset + random.standard_normal((classes, width))[labels]
    features += scatter * random.standard_normal((samples, width))
    block = random.integers(draw(st.integers(1, 6)), size=samples)
    return features, labels, classes, [np.flatnonzero(block == b) for b in range(6)]


Blocks = tuple[Array, NDArray[np.int64], int, list[NDArray[np.int64]]]


@some
@given(blocks())
def test_one_update_against_numpy(problem: Blocks) -> None:
    features, labels, classes, _ = problem
    expected = expected_moments(features, labels, classes)
    assert_equal(moments_of(features, labels, classes), expected, blocks=False)


@some
@given(blocks())
def test_updates_in_blocks_against_numpy(problem: Blocks) -> None:
    features, labels, classes, members = problem
    moments = ClassMoments(classes, features.shape[1])
    for block in members:
        moments.update(torch.as_tensor(features[block]), torch.as_tensor(labels[block]))
    assert_equal(moments, expected_moments(features, labels, classes))


@some
@given(blocks(), st.permutations(range(6)))
def test_merging_in_any_order_against_numpy(problem: Blocks, order: list[int]) -> None:
    features, labels, classes, members = problem
    parts = [moments_of(features[block], labels[block], classes) for block in members]
    merged = ClassMoments(classes, features.shape[1])
    for index in order:
        merged.merge(parts[index])
    assert_equal(merged, expected_moments(features, labels, classes))


@some
@given(blocks())
def test_merging_is_associative_and_commutative(problem: Blocks) -> None:
    features, labels, classes, members = problem
    first, second, third = (moments_of(features[block], labels[block], classes) for block in members[:3])

    def merge(one: ClassMoments, other: ClassMoments) -> ClassMoments:
        result = copy.deepcopy(one)
        result.merge(other)
        return result

    together = np.concatenate(members[:3])
    expected = expected_moments(features[together], labels[together], classes)
    for merged in (
        merge(merge(first, second), third),
        merge(first, merge(second, third)),
        merge(merge(third, second), first),
        reduce(merge, (second, first, third)),
    ):
        assert_equal(merged, expected)


def test_merging_leaves_the_other_as_it_was() -> None:
    random = np.random.default_rng(0)
    first, second = (moments_of(random.standard_normal((9, 3)), np.arange(9) % 2, 2) for _ in range(2))
    before = copy.deepcopy(second)
    first.merge(second)
    first.update(torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 1, 0, 1]))
    for name in ("counts", "means", "within_scatter"):
        assert torch.equal(getattr(second, name), getattr(before, name))


def test_merging_with_nothing_changes_nothing() -> None:
    some_moments = moments_of(np.random.default_rng(0).standard_normal((9, 3)), np.arange(9) % 2, 3)
    for merged, part in ((ClassMoments(3, 3), some_moments), (copy.deepcopy(some_moments), ClassMoments(3, 3))):
        merged.merge(part)
        for name in ("counts", "means", "within_scatter"):
            torch.testing.assert_close(
                getattr(merged, name), getattr(some_moments, name), rtol=0, atol=0, equal_nan=True
            )


def test_without_samples_counts_are_zero_and_means_are_nan() -> None:
    moments = ClassMoments(3, 2)
    moments.update(torch.empty(0, 2), torch.empty(0, dtype=torch.int64))
    moments.merge(ClassMoments(3, 2))
    assert moments.counts.tolist() == [0, 0, 0]
    assert moments.means.isnan().all() and moments.means.shape == (3, 2)
    assert torch.equal(moments.within_scatter, torch.zeros(2, 2, dtype=torch.float64))


def test_the_mean_of_an_empty_class_is_nan_and_of_no_other() -> None:
    moments = moments_of(np.ones((4, 2)), np.array([0, 0, 2, 2]), 3)
    assert moments.means.isnan().all(1).tolist() == [False, True, False]
    moments.update(torch.full((1, 2), 5.0), torch.tensor([1]))
    assert moments.means.tolist() == [[1, 1], [5, 5], [1, 1]]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rows", [64, 500, 4000])
def test_six_digits_of_the_scatter_far_from_the_origin(dtype: type, rows: int) -> None:
    """sigma 1e-6 on an offset of 1000, where raw second moments keep no digit even in float64.

    Of such features float32 leaves a few values in steps of 6e-5: what counts is the scatter of these.
    """
    random = np.random.default_rng(0)
    labels = random.integers(3, size=4000)
    features = 1e3 + random.standard_normal((3, 5))[labels] + 1e-6 * random.standard_normal((4000, 5))
    features = features.astype(dtype)
    expected = expected_moments(features, labels, 3)[2]
    raw = features.astype(np.float64).T @ features
    for c in range(3):
        mean = features[labels == c].astype(np.float64).mean(0)
        raw -= (labels == c).sum() * np.outer(mean, mean)
    assert np.abs(raw - expected).max() > 1e-3 * expected.max()
    merged = ClassMoments(3, 5)
    for block in np.split(np.arange(4000), range(rows, 4000, rows)):
        merged.merge(moments_of(features[block], labels[block], 3))
    np.testing.assert_allclose(merged.within_scatter.numpy(), expected, rtol=0, atol=1e-6 * expected.max())


def test_at_exact_collapse_the_scatter_is_zero() -> None:
    vertices = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    labels = np.arange(30) % 3
    moments = moments_of(vertices[labels], labels, 3)
    assert torch.equal(moments.within_scatter, torch.zeros(4, 4, dtype=torch.float64))
    assert torch.equal(moments.means, torch.as_tensor(vertices).double())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.uint16])
def test_labels_of_any_integer_type(dtype: torch.dtype) -> None:
    features, labels = torch.randn(8, 3), torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])
    narrow, wide = ClassMoments(2, 3), ClassMoments(2, 3)
    narrow.update(features, labels.to(dtype))
    wide.update(features, labels)
    assert torch.equal(narrow.within_scatter, wide.within_scatter) and torch.equal(narrow.means, wide.means)


def test_features_of_a_training_step_leave_no_graph_behind() -> None:
    moments = ClassMoments(2, 3)
    moments.update(torch.ones(2, 3, requires_grad=True), torch.tensor([0, 1]))
    assert not moments.means.requires_grad and not moments.within_scatter.requires_grad


def test_all_is_kept_in_float64() -> None:
    moments = moments_of(np.ones((2, 3), dtype=np.float32), np.array([0, 1]), 2)
    assert {moments.counts.dtype, moments.means.dtype, moments.within_scatter.dtype} == {torch.float64}
    assert (moments.counts.shape, moments.means.shape, moments.within_scatter.shape) == ((2,), (2, 3), (3, 3))


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (torch.ones(3), torch.zeros(3, dtype=torch.int64), r"features must be a floating \(N, d\) array, got \(3,\)"),
        (torch.ones(3, 2, dtype=torch.int64), torch.zeros(3, dtype=torch.int64), "got .3, 2. torch.int64"),
        (torch.ones(3, 0), torch.zeros(3, dtype=torch.int64), r"got \(3, 0\)"),
        (torch.ones(3, 2), torch.zeros(3), "labels must be an integer"),
        (torch.ones(3, 2), torch.zeros(3, 1, dtype=torch.int64), r"labels must be an integer \(N,\) array"),
        (torch.ones(3, 2), torch.zeros(4, dtype=torch.int64), "3 features but 4 labels"),
        (torch.ones(3, 2), torch.tensor([0, 1, 2]), r"labels must lie in 0\.\.1, got values from 0 to 2"),
        (torch.ones(3, 2), torch.tensor([0, -1, 1]), r"labels must lie in 0\.\.1, got values from -1 to 1"),
        (torch.ones(3, 5), torch.tensor([0, 1, 1]), "features have width 5, the moments 2"),
    ],
)
def test_a_block_that_does_not_fit_is_refused_whole(features: Tensor, labels: Tensor, message: str) -> None:
    moments = ClassMoments(2, 2)
    with pytest.raises(ValueError, match=message):
        moments.update(features, labels)
    assert moments.counts.tolist() == [0, 0]


@pytest.mark.parametrize(("classes", "width"), [(0, 2), (2, 0), (-1, 2)])
def test_sizes_must_be_positive(classes: int, width: int) -> None:
    with pytest.raises(ValueError, match=r"(classes|width) must be positive, got "):
        ClassMoments(classes, width)


@pytest.mark.parametrize(("classes", "width"), [(2, 4), (3, 3)])
def test_moments_of_other_sizes_do_not_merge(classes: int, width: int) -> None:
    with pytest.raises(ValueError, match=rf"of \(classes, width\) \({classes}, {width}\) into \(2, 3\)"):
        ClassMoments(2, 3).merge(ClassMoments(classes, width))


def test_class_sums_of_several_trials() -> None:
    features = torch.tensor([[[1.0], [2.0], [4.0]], [[1.0], [2.0], [4.0]]])
    found = ClassSums.of(features, torch.tensor([[0, 1, 0], [2, 2, 2]]), 3)
    assert found.counts.tolist() == [[2, 1, 0], [0, 0, 3]]
    assert found.sums[..., 0].tolist() == [[5, 2, 0], [0, 0, 7]]
    found.add(ClassSums.of(features, torch.tensor([[1, 1, 1], [0, 2, 2]]), 3))
    assert found.counts.tolist() == [[2, 4, 0], [1, 0, 5]]
    assert found.means(empty=-1.0)[..., 0].tolist() == [[2.5, 2.25, -1], [1, -1, 2.6]]

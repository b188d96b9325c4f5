"""Samples shared by several processes: sums of shares give the metrics of all samples, each counted once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from sample_shares import Group
from torch import Tensor

from nc_bench.metrics import CollapseMetrics, Head, measure_features


def problem(dtype: torch.dtype, samples: int) -> tuple[Tensor, Tensor, Head]:
    """Trials of different spread; labels in order, so that shares hold different classes, and one holds few."""
    random = torch.Generator().manual_seed(3)
    labels = (torch.arange(samples) * 4 // samples).expand(3, -1).contiguous()
    means = 3 * torch.randn(3, 4, 6, generator=random, dtype=torch.float64) + 1
    noise = torch.randn(3, samples, 6, generator=random, dtype=torch.float64)
    features = (
        means.gather(1, labels[..., None].expand(-1, -1, 6)) + torch.tensor([1.0, 0.1, 1e-3])[:, None, None] * noise
    )
    weight = means + torch.randn(3, 4, 6, generator=random, dtype=torch.float64)
    return features.to(dtype), labels, Head(weight=weight, bias=torch.ones(3, 4, dtype=torch.float64))


def shared(features: Tensor, labels: Tensor, head: Head, cuts: Sequence[int]) -> list[list[CollapseMetrics]]:
    bounds = list(zip([0, *cuts], [*cuts, features.shape[1]], strict=True))
    group = Group(len(bounds))

    def one(rank: int) -> list[CollapseMetrics]:
        part = slice(*bounds[rank])
        return measure_features(
            features[:, part], labels[:, part], classes=4, head=head, gather=lambda tensors: group.gather(rank, tensors)
        ).metrics

    with ThreadPoolExecutor(len(bounds)) as pool:
        return list(pool.map(one, range(len(bounds))))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("cuts", [[50], [1, 2], [33, 34, 100], [0, 101]])
def test_shares_of_any_size_give_the_metrics_of_all(dtype: torch.dtype, tolerance: float, cuts: list[int]) -> None:
    features, labels, head = problem(dtype, 101)
    whole = measure_features(features, labels, classes=4, head=head).metrics
    for seen in shared(features, labels, head, cuts):
        for mine, expected in zip(seen, whole, strict=True):
            assert list(mine) == list(expected) and mine.reasons == expected.reasons == {}
            for name, value in expected.items():
                # The difference of two risks is as exact as they are.
                rounding = tolerance if name.startswith(("jensen", "gap")) else 0
                assert mine[name] == pytest.approx(value, rel=tolerance, abs=rounding), name


def test_all_processes_get_the_same_bits() -> None:
    first, *others = shared(*problem(torch.float32, 101), [20, 90])
    assert all(other == first for other in others)


def test_a_class_that_no_share_holds_is_missing_and_one_that_some_hold_is_not() -> None:
    features, labels, head = problem(torch.float64, 40)
    labels[0] = labels[0].clamp(max=2)
    for seen in shared(features, labels, head, [10]):
        assert seen[0].reasons["nc1_pinv"] == "class 3 without samples" and not seen[1].reasons


def test_outputs_that_are_bounded_and_a_share_of_none() -> None:
    features, labels, head = problem(torch.float64, 40)
    head = replace(head, output_map=lambda outputs: outputs.clamp(-3, 3))
    whole = measure_features(features, labels, classes=4, head=head).metrics
    for seen in shared(features, labels, head, [0]):
        assert repr(seen) == repr(whole) and all(metrics["risk"] == metrics["risk"] for metrics in seen)

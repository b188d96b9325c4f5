from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nc_bench.config import CountedBalance, Digits, ExponentialBalance, StepBalance
from nc_bench.data import DataError, Dataset, load_dataset
from nc_bench.data.selection import class_sizes, select


def digits_with(**chosen: Any) -> Dataset:
    return load_dataset(Digits.model_validate({"name": "digits", **chosen}))


def step(ratio: float, minority: int) -> dict[str, Any]:
    return {"name": "step", "ratio": ratio, "minority_classes": minority}


def test_step() -> None:
    assert class_sizes(StepBalance.model_validate(step(10, 3)), [143, 138, 140, 138, 150]) == (138, 138, 14, 14, 14)


def test_exponential() -> None:
    balance = ExponentialBalance(name="exponential", ratio=100)
    assert class_sizes(balance, [1000] * 5) == (1000, 316, 100, 32, 10)


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=12), st.floats(1, 10))
def test_sizes_are_to_be_had(counts: list[int], ratio: float) -> None:
    for balance in (
        StepBalance(name="step", ratio=ratio, minority_classes=1),
        ExponentialBalance(name="exponential", ratio=ratio),
    ):
        try:
            sizes = class_sizes(balance, counts)
        except DataError:
            assert min(counts) < 5
            continue
        assert all(size <= count for size, count in zip(sizes, counts, strict=True))
        assert sizes[0] == min(counts) and sizes[-1] == round(min(counts) / ratio)


def test_imbalance_touches_the_training_split_only() -> None:
    whole, step_balanced = digits_with(), digits_with(balance=step(10, 5))
    assert step_balanced.class_counts == (135,) * 5 + (14,) * 5
    assert torch.equal(step_balanced.test_inputs, whole.test_inputs)
    counted = digits_with(balance={"name": "counts", "counts": list(range(1, 11))})
    assert counted.class_counts == tuple(range(1, 11))


def test_chosen_samples_are_samples_with_their_own_labels() -> None:
    whole, chosen = digits_with(), digits_with(samples_per_class=20, test_samples_per_class=3)
    assert chosen.class_counts == (20,) * 10 and torch.bincount(chosen.test_labels).tolist() == [3] * 10
    for mine, labels, inputs, targets in (
        (chosen.train_inputs, chosen.train_labels, whole.train_inputs, whole.train_labels),
        (chosen.test_inputs, chosen.test_labels, whole.test_inputs, whole.test_labels),
    ):
        distance, place = torch.cdist(mine, inputs, compute_mode="donot_use_mm_for_euclid_dist").min(1)
        assert (distance == 0).all() and torch.equal(targets[place], labels)
        assert torch.equal(place, place.unique()), "in their order, each once"


def test_samples_are_chosen_by_the_seed_of_the_data() -> None:
    first, again, other = (digits_with(samples_per_class=20, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.train_inputs, again.train_inputs)
    assert not torch.equal(first.train_inputs, other.train_inputs)


def test_kept_classes_are_numbered_as_listed() -> None:
    whole, kept = digits_with(), digits_with(keep_classes=[7, 3])
    assert kept.classes == 2
    assert torch.equal(kept.train_inputs[kept.train_labels == 0], whole.train_inputs[whole.train_labels == 7])
    assert torch.equal(kept.test_inputs[kept.test_labels == 1], whole.test_inputs[whole.test_labels == 3])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"keep_classes": [3, 12]}, r"^data\.keep_classes: 12 is not one of the classes 0\.\.9$"),
        ({"samples_per_class": 136}, r"^data\.samples_per_class: takes 136 samples of class 8, which has 135$"),
        ({"test_samples_per_class": 99}, r"^data\.test_samples_per_class: takes 99 samples of class 0, which has"),
        ({"balance": step(2, 10)}, r"^data\.balance\.minority_classes: 10 of 10 classes leave no majority$"),
        ({"balance": step(1000, 2)}, r"^data\.balance: class 8 is left without a training sample$"),
        (
            {"balance": {"name": "counts", "counts": [5, 5]}},
            r"^data\.balance\.counts: 2 given, but the data has 10 classes$",
        ),
        (
            {"balance": {"name": "counts", "counts": [5] * 9 + [5000]}},
            r"^data\.balance: takes 5000 samples of class 9, which has",
        ),
    ],
)
def test_what_cannot_be_had_is_one_line(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        digits_with(**chosen)


def test_a_class_without_samples_is_named(digits: Dataset) -> None:
    present = digits.train_labels != 4
    data = dataclasses.replace(
        digits, train_inputs=digits.train_inputs[present], train_labels=digits.train_labels[present]
    )
    with pytest.raises(DataError, match=r"^data\.name=digits: class 4 has no training samples$"):
        select(data, Digits(name="digits"))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 100), min_size=10, max_size=10))
def test_stated_counts_are_met(counts: list[int]) -> None:
    balance = CountedBalance(name="counts", counts=tuple(counts))
    assert class_sizes(balance, [138] * 10) == tuple(counts)

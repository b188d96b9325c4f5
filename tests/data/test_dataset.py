from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nc_bench.data import DataError, Dataset, random_labels
from nc_bench.rng import Stream, generator


def tiny(**changes: Tensor) -> Dataset:
    fields = {
        "train_inputs": torch.zeros(3, 2, 2),
        "train_labels": torch.tensor([0, 3, 3]),
        "test_inputs": torch.zeros(0, 2, 2),
        "test_labels": torch.zeros(0, dtype=torch.int64),
    }
    return Dataset(name="tiny", classes=4, **{**fields, **changes})


def test_empty_classes_are_counted() -> None:
    assert tiny().class_counts == (1, 0, 0, 2)


def test_to_casts_inputs_and_leaves_labels() -> None:
    data = tiny(train_inputs=torch.rand(3, 2, 2))
    cast = data.to("cpu", torch.float64)
    assert cast.train_inputs.dtype == cast.test_inputs.dtype == torch.float64
    assert torch.equal(cast.train_inputs, data.train_inputs.double())
    assert torch.equal(cast.train_labels, data.train_labels)
    assert cast.train_labels.dtype == torch.int64
    assert (cast.name, cast.classes) == ("tiny", 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_labels": torch.tensor([0, 4, 1])}, "tiny: train label 4 is outside 0..3"),
        ({"train_labels": torch.tensor([0, -1, 1])}, "tiny: train label -1 is outside 0..3"),
        ({"train_labels": torch.tensor([0, 1])}, "tiny: 3 train inputs but 2 labels"),
        ({"train_labels": torch.tensor([0.0, 1.0, 2.0])}, "train labels must be one row of int64"),
        ({"train_inputs": torch.zeros(3, 2, 2, dtype=torch.uint8)}, "must be floating-point"),
        ({"test_inputs": torch.zeros(0, 4)}, "training samples have shape"),
        (
            {"train_inputs": torch.zeros(0, 2, 2), "train_labels": torch.zeros(0, dtype=torch.int64)},
            "the training split holds no samples",
        ),
    ],
)
def test_unusable_data_is_refused(changes: dict[str, Tensor], message: str) -> None:
    with pytest.raises(DataError, match=message):
        tiny(**changes)


@settings(deadline=None)
@given(labels=st.lists(st.integers(0, 5), max_size=40), seed=st.integers(0, 2**40))
def test_random_labels_keep_the_class_sizes(labels: list[int], seed: int) -> None:
    original = torch.tensor(labels, dtype=torch.int64)
    shuffled = random_labels(original, generator(seed, Stream.LABELS))
    assert torch.equal(shuffled.sort().values, original.sort().values)
    assert torch.equal(shuffled, random_labels(original, generator(seed, Stream.LABELS)))


def test_random_labels_say_nothing_of_the_original() -> None:
    original = torch.arange(10).repeat_interleave(500)
    shuffled = random_labels(original, generator(0, Stream.LABELS))
    agreement = (shuffled == original).double().mean()
    # Mean .1, standard deviation about sqrt(.1 * .9 / 5000) = .0042.
    assert abs(agreement - 0.1) < 0.02
    assert not torch.equal(shuffled, random_labels(original, generator(1, Stream.LABELS)))

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nc_bench.config import Digits
from nc_bench.data import DataError, noisy_labels, training_labels, uniform_labels
from nc_bench.rng import Stream, generator

LABELS = torch.arange(10).repeat_interleave(500)


def noisy(share: float, seed: int = 0) -> torch.Tensor:
    return noisy_labels(LABELS, 10, share, generator(seed, Stream.LABELS))


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=30), st.floats(0, 1), st.integers(0, 2**40))
def test_exactly_the_rounded_share_moves_and_to_another_class(labels: list[int], share: float, seed: int) -> None:
    original = torch.tensor(labels, dtype=torch.int64)
    changed = noisy_labels(original, 4, share, generator(seed, Stream.LABELS))
    assert abs(int((changed != original).sum()) - share * len(labels)) <= 0.5
    assert changed.dtype == torch.int64 and ((changed >= 0) & (changed < 4)).all()
    assert torch.equal(changed, noisy_labels(original, 4, share, generator(seed, Stream.LABELS)))


def test_noise_goes_to_the_other_classes_alike() -> None:
    moved = noisy(1.0)
    assert (moved != LABELS).all()
    table = torch.zeros(10, 10).index_put_((LABELS, moved), torch.tensor(1.0), accumulate=True)
    others = table[~torch.eye(10, dtype=torch.bool)]
    # 500 / 9 in each, standard deviation 7.0: five of them.
    assert (others - 500 / 9).abs().max() < 35


def test_more_noise_moves_more_samples_and_the_same_ones() -> None:
    some, more = noisy(0.2), noisy(0.5)
    moved = some != LABELS
    assert int(moved.sum()) == 1000 and torch.equal(some[moved], more[moved])
    assert not torch.equal(some, noisy(0.2, seed=1))


def test_uniform_labels_are_uniform_and_independent() -> None:
    drawn = uniform_labels(LABELS, 10, generator(0, Stream.LABELS))
    # Binomial(5000, .1): standard deviation 21 of every class's size and of the agreement.
    assert (torch.bincount(drawn, minlength=10) - 500).abs().max() < 100
    assert abs(int((drawn == LABELS).sum()) - 500) < 100


def test_labels_follow_the_settings() -> None:
    def trained(seed: int = 3, **chosen: object) -> torch.Tensor:
        return training_labels(Digits.model_validate({"name": "digits", **chosen}), LABELS, 10, seed)

    assert torch.equal(trained(), LABELS)
    assert torch.equal(trained(label_noise=0.3), noisy(0.3, seed=3))
    assert torch.equal(trained(labels="uniform"), uniform_labels(LABELS, 10, generator(3, Stream.LABELS)))
    assert not torch.equal(trained(labels="random"), trained(labels="random", seed=4))


def test_a_class_that_loses_all_its_labels_is_named() -> None:
    one_each = torch.arange(10)
    with pytest.raises(DataError, match=r"^data\.labels: class \d is left without a training sample \(seed 0\)$"):
        training_labels(Digits.model_validate({"name": "digits", "labels": "uniform"}), one_each, 10, 0)

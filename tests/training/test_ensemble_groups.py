"""Which trials are trained together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import network, table

from nc_bench.training import groups
from nc_bench.training.grouping import check_stackable

NUMBERS: list[dict[str, Any]] = [
    {"seed": 3},
    {"data": {"labels": "random"}},
    {"optimizer": {"lr": 0.3}},
    {"optimizer": {"momentum": 0.5}},
    {"optimizer": {"decoupled_decay": 0.1}},
    {"optimizer": {"backbone_lr_factor": 2.0}},
    {"objective": {"weight_decay": 0.1}},
    {"objective": {"feature_decay": 0.1}},
    {"objective": {"label_smoothing": 0.1}},
    {"objective": {"class_weights": [1.0, 2.0, 3.0]}},
    {"constraints": {"features": {"radius": 2.0}}},
    {"constraints": {"head": {"radius": 2.0}}},
]
STRUCTURE: list[dict[str, Any]] = [
    {"dtype": "float64"},
    {"data": {"name": "mnist"}},
    {"model": {"widths": [16, 16]}},
    {"model": {"activation": "gelu"}},
    {"model": {"batch_norm": False}},
    {"head": {"bias": True}},
    {"head": {"trainable": False}},
    {"optimizer": {"name": "adam", "lr": 0.05}},
    {"optimizer": {"nesterov": True}},
    {"objective": {"loss": "mse"}},
    {"objective": {"decay_biases": False}},
    {"constraints": {"features": None}},
    {"constraints": {"features": {"radius": 5.0, "p": 3.0}}},
    {"schedule": {"name": "constant"}},
    {"training": {"epochs": 4}},
    {"training": {"batch_size": 64}},
    {"record": {"every": "log"}},
]


@pytest.mark.parametrize("sections", NUMBERS, ids=str)
def test_numbers_may_differ(sections: dict[str, Any]) -> None:
    first, second = network(objective={"loss": "cross_entropy"}), network(**sections)
    assert groups([first, second]) == [[0, 1]]
    check_stackable([first, second])


@pytest.mark.parametrize("sections", STRUCTURE, ids=str)
def test_structure_may_not(sections: dict[str, Any]) -> None:
    first, second = network(), network(**sections)
    assert groups([first, second, first]) == [[0, 2], [1]]
    ((section, content),) = sections.items()
    key = next(iter(content)) if isinstance(content, dict) else ""
    with pytest.raises(ValueError, match=rf"^{section}\.?{key}.*: stacked trials must agree in it"):
        check_stackable([first, second])


@given(counts=st.lists(st.integers(0, 40), min_size=1, max_size=3), limit=st.integers(1, 17))
def test_every_trial_is_in_one_group_of_equal_structure_and_even_size(counts: list[int], limit: int) -> None:
    kinds = (network(), network(head={"bias": True}), table())
    configs = [kind for kind, count in zip(kinds, counts, strict=False) for _ in range(count)]
    found = groups(configs, limit)
    assert sorted(position for group in found for position in group) == list(range(len(configs)))
    for kind, count in zip(kinds, counts, strict=False):
        sizes = [len(group) for group in found if configs[group[0]] is kind]
        assert sum(sizes) == count and len(sizes) == -(-count // limit)
        assert not sizes or max(sizes) - min(sizes) <= 1
        assert all(configs[position] is configs[group[0]] for group in found for position in group)

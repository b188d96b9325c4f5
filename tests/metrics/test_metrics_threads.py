"""Several threads give the numbers of one, and leave torch's threads as they were."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from metric_problems import small_problem

from nc_bench import collapse_metrics
from nc_bench.metrics import collapse
from nc_bench.metrics.parallel import map_in_threads


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def threads_of_a_new_thread() -> int:
    found: list[int] = []
    thread = Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("choice", [{}, {"minimum_samples": 101}])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_several_threads_give_the_numbers_of_one(
    choice: dict[str, int], dtype: type, monkeypatch: pytest.MonkeyPatch, three_threads: None
) -> None:
    monkeypatch.setattr(collapse, "CHUNK_ELEMENTS", 2**10)
    monkeypatch.setattr(collapse, "COLUMNS", 2)
    problem = small_problem(classes=4, width=7, each=100)
    problem.labels[:3] = 3  # of classes 0, 1 and 2
    arguments: tuple[Any, ...] = (problem.features.astype(dtype), *problem.arguments()[1:])
    with torch.autocast("cpu", torch.bfloat16):
        found = collapse_metrics(*arguments, **choice)
    assert torch.get_num_threads() == threads_of_a_new_thread() == 3
    torch.set_num_threads(1)
    expected = collapse_metrics(*arguments, **choice)
    # Products of so few numbers have the same bits whoever forms them.
    assert repr(found) == repr(expected) and found.left_out == expected.left_out
    for name, column in expected.per_class.items():
        np.testing.assert_array_equal(found.per_class[name], column)


def test_results_come_in_order_with_fewer_threads_each(three_threads: None) -> None:
    def work(number: int) -> tuple[int, int, bool]:
        return number, torch.get_num_threads(), torch.is_grad_enabled()

    assert list(map_in_threads(work, iter(range(40)), 40)) == [(number, 1, False) for number in range(40)]
    assert list(map_in_threads(work, iter(range(1)), 1)) == [(0, 3, True)]
    assert torch.get_num_threads() == threads_of_a_new_thread() == 3


def test_what_fails_in_a_thread_fails(three_threads: None) -> None:
    def fail(number: int) -> int:
        return 1 // (number - 5)

    with pytest.raises(ZeroDivisionError):
        list(map_in_threads(fail, iter(range(40)), 40))
    assert torch.get_num_threads() == threads_of_a_new_thread() == 3

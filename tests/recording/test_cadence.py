from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nc_bench.recording import recorded_epochs


def test_every_epoch() -> None:
    assert recorded_epochs("epoch", 4) == {1, 2, 3, 4}


def test_log_spaced_epochs() -> None:
    expected = {1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 63, 79, 100}
    assert recorded_epochs("log", 100) == expected


@given(epochs=st.integers(1, 5000), more=st.integers(0, 5000))
def test_log_spaced_epochs_do_not_depend_on_where_the_run_ends(epochs: int, more: int) -> None:
    short, long = recorded_epochs("log", epochs), recorded_epochs("log", epochs + more)
    assert {epoch for epoch in long if epoch <= epochs} | {epochs} == short


@pytest.mark.parametrize(
    ("listed", "epochs", "expected"),
    [((0, 1, 5), 8, {0, 1, 5, 8}), ((2, 30), 10, {2, 10}), ((10,), 10, {10})],
)
def test_listed_epochs_and_the_last(listed: tuple[int, ...], epochs: int, expected: set[int]) -> None:
    assert recorded_epochs(listed, epochs) == expected

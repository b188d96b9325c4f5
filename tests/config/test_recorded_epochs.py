"""After which epochs a run is measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nc_bench.config import Record


def test_every_epoch() -> None:
    assert [*Record(every="epoch").recorded_epochs(4)] == [1, 2, 3, 4]
    assert [*Record(every="epoch").recorded_epochs(0)] == [0]
    assert len(Record(every="epoch").recorded_epochs(10**9)) == 10**9, "without 10^9 numbers in memory"


def test_log_spaced_epochs_and_where_the_last_tenth_begins() -> None:
    spaced = {1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 63, 79, 100}
    assert Record(every="log").recorded_epochs(100) == spaced | {90}
    assert [Record(every="log").recorded_epochs(epochs) for epochs in (0, 1, 2)] == [{0}, {1}, {1, 2}]


@given(epochs=st.integers(2, 5000), more=st.integers(0, 5000))
def test_log_spaced_epochs_depend_on_where_the_run_ends_only_by_its_last_tenth(epochs: int, more: int) -> None:
    tenth = 9 * epochs // 10
    short, long = Record(every="log").recorded_epochs(epochs), Record(every="log").recorded_epochs(epochs + more)
    assert tenth in short and 0.9 * epochs - 1 < tenth <= 0.9 * epochs
    later = 9 * (epochs + more) // 10
    assert {epoch for epoch in long - {later} if epoch <= epochs} <= short
    assert short - {tenth, epochs} <= long


@pytest.mark.parametrize(
    ("listed", "epochs", "expected"),
    [((0, 1, 5), 8, {0, 1, 5, 8}), ((2, 30), 10, {2, 10}), ((10,), 10, {10})],
)
def test_listed_epochs_and_the_last(listed: tuple[int, ...], epochs: int, expected: set[int]) -> None:
    assert Record(every=listed).recorded_epochs(epochs) == expected

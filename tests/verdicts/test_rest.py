"""When a run is at rest."""

from __future__ import annotations

import math

import pytest
from small_runs import network

from nc_bench.config import Config, ConfigError
from nc_bench.verdicts.rest import AT_REST, MOVING, NOT_KNOWN, per_doubling, rest_of, state_of_change, worst_of
from nc_bench.verdicts.twin import stretched


@pytest.mark.parametrize(
    ("after", "state"), [(0.5099, AT_REST), (0.4901, AT_REST), (0.5101, MOVING), (0.4899, MOVING), (math.nan, MOVING)]
)
def test_a_value_rests_that_moves_by_less_than_a_fifth_of_its_tolerance(after: float, state: str) -> None:
    assert state_of_change(0.5, after, tolerance=0.05) == state


def test_where_the_tolerance_is_zero_nothing_may_move() -> None:
    assert state_of_change(1.0, 1.0, tolerance=0.0) == AT_REST
    assert state_of_change(1.0, 0.999, tolerance=0.0) == MOVING


def test_a_logarithm_of_time_changes_as_much_in_each_doubling() -> None:
    assert per_doubling(math.log(100), math.log(300)) == pytest.approx(math.log(2))
    assert per_doubling(math.log(100), math.log(200), times=2) == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("at_minimum", "moved", "residual", "state"),
    [
        (True, NOT_KNOWN, math.nan, AT_REST),
        (True, MOVING, 5.0, AT_REST),
        (False, AT_REST, 5.0, AT_REST),
        (False, MOVING, 0.01, MOVING),
        (False, NOT_KNOWN, 0.0999, AT_REST),
        (False, NOT_KNOWN, 0.1, MOVING),
        (False, NOT_KNOWN, math.nan, NOT_KNOWN),
    ],
)
def test_the_gap_says_it_first_then_the_longer_twin_then_stationarity(
    at_minimum: bool, moved: str, residual: float, state: str
) -> None:
    assert rest_of(at_minimum=at_minimum, moved=moved, residual=residual) == state


def test_one_value_that_moves_is_enough() -> None:
    assert worst_of([AT_REST, NOT_KNOWN, AT_REST]) == AT_REST
    assert worst_of([AT_REST, MOVING, NOT_KNOWN]) == MOVING
    assert worst_of([NOT_KNOWN]) == NOT_KNOWN == worst_of([])


def changed(config: Config) -> dict[str, object]:
    before, after = config.model_dump(), stretched(config).model_dump()
    return {f"{key}.{k}": v for key in before for k, v in _flat(after[key]) if dict(_flat(before[key])).get(k) != v}


def _flat(section: object) -> list[tuple[str, object]]:
    return list(section.items()) if isinstance(section, dict) else [("", section)]


@pytest.mark.parametrize(("every", "grid"), [("epoch", (3, 6, 9, 12)), ([0, 1, 4], (0, 3, 12))])
def test_the_twin_is_the_run_stretched_and_nothing_else(every: object, grid: tuple[int, ...]) -> None:
    config = network(training={"epochs": 4}, record={"every": every})
    assert changed(config) == {"training.epochs": 12, "record.every": grid}
    assert Config.model_validate(stretched(config).model_dump(mode="json")) == stretched(config)


def test_a_stop_at_an_efficiency_would_end_both_at_the_same_one() -> None:
    config = network(training={"epochs": 4, "stop": {"simplex_efficiency": 0.5, "terminal_epochs": 2}})
    stop = stretched(config).training.stop
    assert stop is not None and (stop.simplex_efficiency, stop.terminal_epochs) == (None, 6)
    assert stretched(network(training={"epochs": 4, "stop": {"simplex_efficiency": 0.5}})).training.stop is None


def test_what_is_not_trained_has_no_twin() -> None:
    with pytest.raises(ConfigError, match=r"training\.epochs: 0 given"):
        stretched(network(training={"epochs": 0}))

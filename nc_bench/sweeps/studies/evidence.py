"""What a decision rule may look at, and what it gives back: a verdict with its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pandas as pd

from nc_bench.config import Config, ConfigError
from nc_bench.statistics import Difference, Summary, equivalence_p, paired_difference
from nc_bench.sweeps.study import Study
from nc_bench.sweeps.tables import digits
from nc_bench.verdicts.rest import MOVING

ALPHA = 0.05
MAX_WORDS = 30


class Verdict(StrEnum):
    """What the runs say of the hypothesis."""

    SUPPORTED = "supported"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A verdict in one headline, and the table that it was read from.

    headline: at most MAX_WORDS words with the verdict before it, with an interval and the number of seeds. header,
    rows: the numbers that the rule looked at, as text. limits: what these numbers leave open, besides the study's own.
    """

    verdict: Verdict
    headline: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        words = 1 + len(self.headline.split())
        assert words <= MAX_WORDS, f"more than {MAX_WORDS} words: {self.headline}"
        assert all(len(row) == len(self.header) for row in self.rows)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What came out of a study's runs.

    cells: a row per table row and measure. differences: from the reference (`difference_table`). selected: the runs,
    or medians over matched settings, that the rows stand for, one per row and seed. runs: all of the grid. curves: a
    row per run and recorded epoch. samples: number of training samples. settled: what moves in longer twins
    (`collect`), without rows where there are none.
    """

    study: Study
    cells: pd.DataFrame
    differences: pd.DataFrame
    selected: pd.DataFrame
    runs: pd.DataFrame
    curves: pd.DataFrame
    configs: Mapping[str, Config]
    samples: int
    settled: pd.DataFrame

    def at(self, measure: str, **labels: Any) -> Summary:
        """The statistics of a measure in the cell with these labels; ConfigError if there is no such cell."""
        row = _only_row(self.cells, measure, labels)
        return Summary(runs=int(row["runs"]), **{name: float(row[name]) for name in ("mean", "std", "low", "high")})

    def mean(self, measure: str, **labels: Any) -> float:
        return self.at(measure, **labels).mean

    def difference(self, measure: str, **labels: Any) -> Difference:
        """The difference from the reference in the cell with these labels, its p_value adjusted for the whole table."""
        row = _only_row(self.differences, measure, labels)
        names = ("mean", "error", "freedom", "low", "high")
        return Difference(
            runs=int(row["runs"]), p_value=float(row["p_holm"]), **{name: float(row[name]) for name in names}
        )

    def values(self, measure: str, **labels: Any) -> pd.Series:
        """The measure seed by seed in the cell with these labels; ConfigError if there is no such cell."""
        chosen = _labelled(self.selected, labels)
        if chosen.empty or measure not in chosen:
            raise _missing(measure, labels, len(chosen))
        return chosen.set_index("seed")[measure].sort_index()

    def curve(self, measure: str, **labels: Any) -> pd.DataFrame:
        """The measure with an epoch in each row and a seed in each column."""
        return _labelled(self.curves, labels).pivot(index="epoch", columns="seed", values=measure)

    def is_moving(self, measure: str, **labels: Any) -> bool:
        """Whether the measure still moves in a longer twin of a run with these labels."""
        if self.settled.empty:
            return False
        twins = _labelled(self.settled[self.settled["measure"] == measure], labels)
        return bool((twins["rest"] == MOVING).any())

    def later(self, measure: str, **labels: Any) -> pd.Series:
        """The measure seed by seed in the longer twins of the runs with these labels; ConfigError if there is none."""
        twins = self.settled if self.settled.empty else self.settled[self.settled["measure"] == measure]
        chosen = twins if twins.empty else _labelled(twins, labels)
        if chosen.empty:
            raise _missing(f"the longer twins' {measure}", labels, 0)
        return chosen.set_index("seed")["later"].sort_index()

    def labels(self, column: str) -> list[Any]:
        """The values of a column of the table, in their order."""
        return list(dict.fromkeys(self.cells[column].tolist()))

    def config(self, **labels: Any) -> Config:
        """The configuration of the first run with these labels."""
        return self.configs[_labelled(self.runs, labels).iloc[0]["trial"]]

    @property
    def seed_count(self) -> int:
        """How many seeds every setting has."""
        return int(self.runs["seed"].nunique())


def against(value: pd.Series, other: pd.Series | float) -> Difference:
    """The difference of two measures seed by seed, or of one from a number that is known."""
    seeds = value.index if isinstance(other, float) else value.index.intersection(other.index)
    second = [other] * len(seeds) if isinstance(other, float) else other[seeds]
    return paired_difference(value[seeds].to_numpy(), pd.Series(second).to_numpy())


def plus_minus(summary: Summary) -> str:
    """`0.987 ± 0.003`, or the mean alone where there is one run."""
    return digits(summary.mean) if math.isnan(summary.std) else f"{digits(summary.mean)} ± {digits(summary.std)}"


def interval(found: Summary | Difference) -> str:
    """`-0.12 [-0.14, -0.1]`: a mean and its 95 % interval."""
    return f"{digits(found.mean)} [{digits(found.low)}, {digits(found.high)}]"


def times(ratio: Summary) -> str:
    """`14.6 [9.1, 23]` of a mean logarithm."""
    if math.isnan(ratio.mean):
        return "-"
    return f"{digits(math.exp(ratio.mean))} [{', '.join(digits(math.exp(end)) for end in (ratio.low, ratio.high))}]"


def all_of(parts: Sequence[Verdict]) -> Verdict:
    """Refuted if one part is, supported if all are, else undecided."""
    if Verdict.REFUTED in parts:
        return Verdict.REFUTED
    return Verdict.SUPPORTED if set(parts) == {Verdict.SUPPORTED} else Verdict.UNDECIDED


def unless_moving(verdict: Verdict, *, moving: bool) -> Verdict:
    """What still moves has not come to where it goes, and refutes nothing."""
    return Verdict.UNDECIDED if moving and verdict is Verdict.REFUTED else verdict


def above(found: Summary | Difference, border: float) -> Verdict:
    """Supported if the whole interval is above the border, refuted if below it, undecided where it holds the border."""
    if found.low > border:
        return Verdict.SUPPORTED
    return Verdict.REFUTED if found.high < border else Verdict.UNDECIDED


def below(found: Summary | Difference, border: float) -> Verdict:
    """Supported if the whole interval is below the border, refuted if above it, undecided where it holds the border."""
    if found.high < border:
        return Verdict.SUPPORTED
    return Verdict.REFUTED if found.low > border else Verdict.UNDECIDED


def equivalent(difference: Difference, margin: float) -> Verdict:
    """Supported if two one-sided t tests show the difference to be within the margin, refuted if its interval is
    outside of it."""
    if equivalence_p(difference, margin) < ALPHA:
        return Verdict.SUPPORTED
    outside = difference.low > margin or difference.high < -margin
    return Verdict.REFUTED if outside else Verdict.UNDECIDED


def _labelled(table: pd.DataFrame, labels: Mapping[str, Any]) -> pd.DataFrame:
    for column, value in labels.items():
        table = table[table[column] == value]
    return table


def _only_row(table: pd.DataFrame, measure: str, labels: Mapping[str, Any]) -> pd.Series:
    chosen = _labelled(table[table["measure"] == measure], labels)
    if len(chosen) != 1:
        raise _missing(measure, labels, len(chosen))
    return chosen.iloc[0]


def _missing(measure: str, labels: Mapping[str, Any], found: int) -> ConfigError:
    named = ", ".join(f"{column}: {value}" for column, value in labels.items())
    return ConfigError(f"study.answer: needs {measure} at {named}, of which the grid has {found}")

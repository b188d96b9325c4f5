"""Is one measure lower, higher or the same under everything that is compared with a reference? For any grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from nc_bench.config import ConfigError
from nc_bench.statistics import Difference
from nc_bench.sweeps.studies.evidence import (
    Answer,
    Evidence,
    Verdict,
    above,
    all_of,
    below,
    equivalent,
    interval,
)
from nc_bench.text import did_you_mean, listed, shortened, shown

EXPECTED: dict[str, Callable[[Difference, float], Verdict]] = {
    "lower": lambda difference, margin: below(difference, -margin),
    "higher": lambda difference, margin: above(difference, margin),
    "equal": equivalent,
}
"""What may be expected of a difference from the reference, given a margin of at least 0."""

ARGUMENTS = ("measure", "expect", "margin")
LONGEST = 40
"""Characters of a label or a measure in the headline."""


def comparison(evidence: Evidence) -> Answer:
    """Every difference from the reference in one measure, each with its verdict; all have to be as expected.

    `study.arguments`: measure, one of the study's; expect, one of EXPECTED; margin (0 if not stated; `equal` needs one
    above 0): how far from the reference a difference has to be, or for `equal` may be. Supported where the whole 95 % t
    interval of every difference lies there, refuted where one lies on the other side.
    """
    measure, expect, margin = _arguments(evidence)
    compare = evidence.study.compare
    if compare is None:
        raise ConfigError("study.compare: missing; answer: comparison needs to know what is compared with what")
    reference = str(compare.against)
    columns = [compare.column, *(name for name in evidence.study.rows if name != compare.column)]
    rows = evidence.differences[evidence.differences["measure"] == measure]
    found = {_label(row, columns): _difference(row) for _, row in rows.iterrows()}
    if not found:
        raise ConfigError(f"study.compare: nothing is compared with {reference}: {compare.column} has no other value")
    verdicts = {label: EXPECTED[expect](difference, margin) for label, difference in found.items()}
    verdict = all_of(list(verdicts.values()))
    # The one that decides: what speaks against the verdict most, or the least of what supports it.
    named = next(label for label, own in verdicts.items() if own is verdict)
    than = "equal to that of" if expect == "equal" else f"{expect} than under"
    what = {
        Verdict.SUPPORTED: f"{shortened(measure, LONGEST)} is {than}",
        Verdict.REFUTED: f"{shortened(measure, LONGEST)} is not {than}",
        Verdict.UNDECIDED: f"open whether {shortened(measure, LONGEST)} is {than}",
    }[verdict]
    first = found[named]
    where = f"{shortened(named, LONGEST)} minus reference"
    return Answer(
        verdict=verdict,
        headline=f"{what} {shortened(reference, LONGEST)}: {interval(first)} ({where}), n = {first.runs}.",
        header=(listed(columns, ", "), f"{measure}, minus {reference}", f"{expect}, margin {margin:g}"),
        rows=tuple((label, interval(found[label]), str(verdicts[label])) for label in found),
    )


def _arguments(evidence: Evidence) -> tuple[str, str, float]:
    given: dict[str, Any] = dict(evidence.study.arguments)
    for name in given:
        if name not in ARGUMENTS:
            hint = did_you_mean(name, ARGUMENTS) or f"there are {listed(ARGUMENTS)}"
            raise ConfigError(f"study.arguments.{name}: comparison has no such argument; {hint}")
    for name, known in (("measure", tuple(evidence.study.measures)), ("expect", tuple(EXPECTED))):
        if given.get(name) not in known:
            hint = did_you_mean(given.get(name), known) or f"there are {listed(known)}"
            raise ConfigError(f"study.arguments.{name}: {shown(given.get(name))} given; {hint}")
    margin = given.get("margin", 0)
    if isinstance(margin, bool) or not isinstance(margin, int | float) or margin < 0:
        raise ConfigError(f"study.arguments.margin: {shown(margin)} given, should be a number of at least 0")
    if given["expect"] == "equal" and margin == 0:
        raise ConfigError("study.arguments.margin: missing; no two measures are equal to the last digit")
    return given["measure"], given["expect"], float(margin)


def _label(row: pd.Series, columns: list[str]) -> str:
    return ", ".join(str(row[name]) for name in columns)


def _difference(row: pd.Series) -> Difference:
    numbers = {name: float(row[name]) for name in ("mean", "error", "freedom", "low", "high")}
    return Difference(runs=int(row["runs"]), p_value=float(row["p_holm"]), **numbers)

"""Do features collapse with every activation, whatever normalises and bounds the network?"""

from __future__ import annotations

from typing import Any

from nc_bench.statistics import Summary
from nc_bench.sweeps.studies.evidence import Answer, Evidence, Verdict, above, all_of, below, interval, unless_moving
from nc_bench.text import listed

BORDERS = {"nc1_quotient": 0.1, "nc2_equiangular": 0.1, "simplex_efficiency": 0.9}
"""Where NC1, NC2 and the share of the norm budget count as reached."""

NAMES = {"nc1_quotient": "NC1", "nc2_equiangular": "NC2", "simplex_efficiency": "budget"}


def activations(evidence: Evidence) -> Answer:
    """In which cells NC1, NC2 and the budget are reached, apart; supported only if everywhere."""
    rows: list[tuple[str, ...]] = []
    holds: dict[str, list[Verdict]] = {measure: [] for measure in BORDERS}
    for cell, measured in cells(evidence):
        labels = dict(zip(evidence.study.rows, cell, strict=True))
        verdicts = {
            measure: unless_moving(reached(measure, measured[measure]), moving=evidence.is_moving(measure, **labels))
            for measure in BORDERS
        }
        for measure, verdict in verdicts.items():
            holds[measure].append(verdict)
        shown = [f"{interval(measured[measure])}, {verdicts[measure]}" for measure in BORDERS]
        rows.append((*map(str, cell), *shown))
    counts = [f"{NAMES[measure]} in {found.count(Verdict.SUPPORTED)}" for measure, found in holds.items()]
    verdict = all_of([one for found in holds.values() for one in found])
    worst = max((measured["nc1_quotient"] for _, measured in cells(evidence)), key=lambda found: found.mean)
    return Answer(
        verdict=verdict,
        headline=f"of {len(rows)} cells {listed(counts)} are reached; the largest nc1_quotient is {interval(worst)}, "
        f"n = {worst.runs}.",
        header=(*evidence.study.rows, *(f"{NAMES[name]} ({name})" for name in BORDERS)),
        rows=tuple(rows),
    )


def cells(evidence: Evidence) -> list[tuple[tuple[Any, ...], dict[str, Summary]]]:
    """Every row of the table: its labels, and what was measured there."""
    columns = list(evidence.study.rows)
    labels = evidence.cells[columns].drop_duplicates()
    return [
        (row, {name: evidence.at(name, **dict(zip(columns, row, strict=True))) for name in BORDERS})
        for row in labels.itertuples(index=False, name=None)
    ]


def reached(measure: str, found: Summary) -> Verdict:
    """Against the border of the measure: efficiency is to be above its, the errors below theirs."""
    return (above if measure == "simplex_efficiency" else below)(found, BORDERS[measure])

"""What the verdicts of a completed run add up to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nc_bench.reports.claim_rows import LAW, group_of
from nc_bench.reports.description import typed_config, wrong_labels
from nc_bench.reports.numbers import percent
from nc_bench.reports.queries import claim, last_value
from nc_bench.runs import RunTables
from nc_bench.statistics import binomial_tail
from nc_bench.verdicts.rest import MOVING, NOT_KNOWN

POINTS, SIMPLEX, BUDGET = "NC1", "NC2", "Budget"
ANGLES = "nc2_equiangular"

FEWEST_EPOCHS = 2

CHANCE_TAIL = 0.025
"""Guessing has an accuracy as high as this less often where an accuracy is told from it."""

NEAR = 0.25
"""Share of the angles' null below which a simplex that misses its tolerance has been approached all the same."""


def summary(run: RunTables) -> str:
    """Whether the simplex appeared, in part, or not; empty for a run that was not completed or has no verdicts.

    It has appeared if every applicable claim on the classes (NC1), on their means (NC2) and on the norm budget holds,
    and there are claims of the first two kinds; it has not if the angles of the class means are no nearer to a
    simplex's than a quarter of what random directions give. A run without such claims is summed up in numbers.
    Where nothing fails and something is not reached, a run that is too short is called so.
    """
    claims = [row for row in _verdicts(run) if row["verdict"] != "not applicable" and group_of(row["name"]) != LAW]
    if run.manifest.get("status") != "complete" or not claims:
        return ""
    geometry = [row for row in claims if group_of(row["name"]).startswith((POINTS, SIMPLEX, BUDGET))]
    titles = " ".join(group_of(row["name"]) for row in geometry)
    if _with(claims, "not reached") and not _with(claims, "fails") and (short := too_short(run)):
        return f"the run is too short to say anything: {short}"
    if POINTS not in titles or SIMPLEX not in titles:
        return _tally(claims)
    failing = _with(geometry, "fails")
    if failing:
        return f"{_shortfall(run, failing)} ({len(failing)} of {len(geometry)} claims on the simplex fail)"
    if open_claims := _with(geometry, "not reached"):
        return _not_reached(geometry, open_claims)
    wrong = wrong_labels(typed_config(run))
    although = f" although {wrong}" if wrong else ""
    return f"the simplex appeared{although}{_exceptions([row for row in claims if row not in geometry])}"


def too_short(run: RunTables) -> str:
    """Why a run that was trained is too short to say anything, "" if it is not.

    It has fewer than two epochs, so that no epoch can be compared with another; or its accuracy on training samples is
    not told from that of guessing the most frequent class: what a network that has learnt nothing does is no evidence.
    """
    done, foreign = int(run.manifest.get("epochs_done", 0)), typed_config(run).model.is_foreign
    if run.manifest.get("epochs") == 0:
        return ""
    if done < FEWEST_EPOCHS and not foreign:
        return f"it has {done} epoch" + "s" * (done != 1)
    accuracy, samples = last_value(run, "train", "accuracy"), int(run.manifest.get("samples", {}).get("train", 0))
    if math.isnan(accuracy) or not samples:
        return ""
    classes = int(run.manifest["classes"])
    counts = run.manifest.get("class_counts") or [samples / classes] * classes
    chance = max(counts) / sum(counts)
    if binomial_tail(round(accuracy * samples), samples, chance) < CHANCE_TAIL:
        return ""
    return f"{percent(accuracy, 3)} of the training samples are classified right, no more than by guessing"


def broken_law(run: RunTables) -> str:
    """A warning if a law that no network can break was broken, which says that a number is wrong; else empty."""
    broken = [row["name"] for row in _verdicts(run) if group_of(row["name"]) == LAW and row["verdict"] == "fails"]
    if not broken:
        return ""
    return f"WARNING: {', '.join(broken)} breaks a law that no network can break, so do not trust these measurements."


def _shortfall(run: RunTables, failing: Sequence[str]) -> str:
    """Missed tolerances are one thing, angles like those of random directions another."""
    if ANGLES not in failing:
        return "the simplex appeared only in part"
    angles = claim(run, ANGLES)
    near = angles["measured"] < NEAR * angles["null"]
    return (
        "the class means are near a simplex, but not to within the tolerances" if near else "the simplex did not appear"
    )


def _not_reached(geometry: Sequence[dict[str, Any]], open_claims: Sequence[str]) -> str:
    rests = [row["rest"] for row in geometry if row["name"] in open_claims]
    known = {MOVING: "the run still moves", NOT_KNOWN: "it is not known whether the run still moves"}
    why = next((words for state, words in known.items() if state in rests), "the run has come to rest elsewhere")
    number = f"{len(open_claims)} of {len(geometry)} claims on it are not met yet"
    return f"the simplex is neither confirmed nor refuted ({number}, and {why})"


def _tally(claims: Sequence[dict[str, Any]]) -> str:
    held = len(_with(claims, "holds"))
    return f"{held} of {len(claims)} predictions hold"


def _exceptions(others: Sequence[dict[str, Any]]) -> str:
    missed = [row["name"] for row in others if row["verdict"] != "holds"]
    if not missed:
        return ""
    count = f"{len(missed)} of {len(others)} other predictions {'do' if len(missed) > 1 else 'does'} not hold"
    return f", but {count} ({', '.join(missed)})"


def _with(claims: Sequence[dict[str, Any]], verdict: str) -> list[str]:
    return [row["name"] for row in claims if row["verdict"] == verdict]


def _verdicts(run: RunTables) -> list[dict[str, Any]]:
    return [dict(row) for _, row in run.predictions.iterrows()]

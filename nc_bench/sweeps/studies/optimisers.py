"""Is NC3 (self-duality) lost under decoupled decay?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nc_bench.sweeps.statistics import Spread, at_best
from nc_bench.sweeps.studies.evidence import Evidence, listed, plus_minus
from nc_bench.sweeps.tables import digits

PAIRS = {"SGD": "SGDW", "Adam": "AdamW", "Signum": "SignumW"}
"""Coupled decay and decoupled decay of the same optimiser."""

SETTING = ("lr", "decay", "momentum")
"""The columns of the grid besides the arm."""

TIMES = 2.0
"""How many times its coupled twin's the NC3 of a decoupled optimiser has to be to count as lost."""

LOST = 0.3
"""nc3_duality_centred (random directions: 1.41) above which self-duality counts as lost."""

TRAINED = 0.95
"""Test accuracy from which on a setting counts as trained at all."""


def optimisers(evidence: Evidence) -> str:
    """NC3 and NC0 of each decoupled optimiser against its coupled twin, at their best settings; then over the grid.

    The verdict is given for the best settings that have converged, and for the best whether they have or not.
    """
    arms = set(evidence.labels("arm"))
    present = {coupled: other for coupled, other in PAIRS.items() if {coupled, other} <= arms}
    parts = [_pair(evidence, coupled, decoupled) for coupled, decoupled in present.items()]
    duality = {arm: evidence.mean("nc3_duality_centred", arm=arm) for arm in evidence.labels("arm")}
    ranked = listed([f"{arm} {digits(duality[arm])}" for arm in sorted(duality, key=lambda arm: duality[arm])])
    shares = listed([f"{arm} {_lost(evidence, arm):.0%}" for arm in evidence.labels("arm")])
    best = evidence.study.best
    assert best is not None, "the study says which settings count"
    any_state = at_best(
        evidence.runs.assign(converged=True), ["arm"], SETTING, best.measure, largest=True, number=best.number
    )
    converged, whichever = (
        {measure: _losers(means, measure, present) for measure in ("nc3_duality", "nc3_duality_centred")}
        for means in (evidence.mean, lambda measure, arm: any_state.loc[any_state["arm"] == arm, measure].mean())
    )
    means = {
        measure: listed([f"{arm} {digits(any_state.loc[any_state['arm'] == arm, measure].mean())}" for arm in duality])
        for measure in ("nc3_duality", "nc3_duality_centred")
    }
    return (
        f"Over the {best.number} converged settings of best {best.measure}, NC3 as it is published is lost under "
        f"decoupled decay with {converged['nc3_duality']}, and centred, which is all of it that softmax sees, with "
        f"{converged['nc3_duality_centred']}; over the {best.number} best whether they have converged or not, with "
        f"{whichever['nc3_duality']}, and centred with {whichever['nc3_duality_centred']} "
        f"(lost: more than {TIMES:g} times that of its coupled twin); converged, centred NC3 is "
        f"{ranked}; {''.join(f'{part}; ' for part in parts)}"
        f"converged or not, nc3_duality is {means['nc3_duality']}, and centred {means['nc3_duality_centred']}; "
        f"over the whole grid the share of trained settings with centred NC3 above {LOST:g} is {shares}; "
        f"{evidence.seeds()} seeds."
    )


def _losers(mean: Callable[..., float], measure: str, pairs: Mapping[str, str]) -> str:
    """The decoupled optimisers whose measure is more than TIMES that of their twins, or "none"."""
    lost = [
        decoupled
        for coupled, decoupled in pairs.items()
        if mean(measure, arm=decoupled) > TIMES * mean(measure, arm=coupled)
    ]
    return listed(lost) if lost else "none"


def _pair(evidence: Evidence, coupled: str, decoupled: str) -> str:
    both = []
    for measure in ("nc3_duality_centred", "nc3_duality", "nc0_row_sum"):
        first, second = (evidence.at(measure, arm=arm) for arm in (coupled, decoupled))
        both.append(f"{measure} {plus_minus(first)} and {plus_minus(second)}{_beyond(first, second)}")
    return f"{coupled} and {decoupled} have {listed(both)}"


def _beyond(first: Spread, second: Spread) -> str:
    """Whether the two intervals are apart. (Best settings differ between optimisers, so nothing is paired.)"""
    return "" if first.high < second.low or second.high < first.low else " (intervals overlap)"


def _lost(evidence: Evidence, arm: str) -> float:
    runs = evidence.runs[(evidence.runs["arm"] == arm) & (evidence.runs["test accuracy"] >= TRAINED)]
    return float((runs["nc3_duality_centred"] > LOST).mean()) if len(runs) else float("nan")

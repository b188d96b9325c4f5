"""Laws that no recorded row may break, whatever was trained: a broken one says that a number is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nc_bench.config import Config
from nc_bench.runs.directory import PENULTIMATE, Verdict

LAW_ROUNDING = 1e-9
"""How far rounding may put a gap below 0 where the outputs are of ordinary size, or a share of one output above 1."""

SHARE_ROUNDING = 1e-6
"""How far the rounding of float32 features may put an efficiency above 1."""

EQUAL = 1e-9
"""Relative difference up to which two ways to compute an efficiency agree."""

UNITS = 8
"""So many times the last bit of the outputs, rounding may be in a risk."""

PARTS = ("within", "pairs", "alignment", "isometry", "simplex", "norm")
"""Of the collapse budget, as `nc_bench.metrics.names` has them; this module does without torch."""

EXACT = float(np.finfo(np.float64).eps)

SMALL = 0.01
"""Outputs below which a risk is computed relative to log K, so that it is as exact as they are."""

GAPS = tuple(f"gap_{part}" for part in PARTS)
EFFICIENCIES = tuple(f"efficiency_{part}" for part in PARTS)
READ = (*GAPS, *EFFICIENCIES, "risk_gap", "simplex_efficiency", "jensen_gap", "output_efficiency")
READ += ("feature_radius", "head_opnorm", "bias_offset_centred")
PRODUCT, SUM = "the product of the efficiencies", "the sum of the gaps"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The rows of a run with all columns that laws read, NaN where they were not measured.

    eps: that of the features. caps: by layer the largest `efficiency_simplex` that its width allows, 1 where none is
    given.
    """

    rows: pd.DataFrame
    eps: float
    caps: Mapping[str, float]

    @property
    def budget(self) -> pd.Series:
        """Of every row, the norm budget: what the features' length and the head's norm make of an output at most."""
        return self.rows["feature_radius"] * self.rows["head_opnorm"]

    def rounding(self, eps: float) -> pd.Series:
        """Of every row, by how much numbers of this precision may be wrong in a risk, for the size of its outputs."""
        outputs = self.budget.fillna(0) + self.rows["bias_offset_centred"].fillna(0)
        return UNITS * eps * (outputs + (outputs / SMALL).clip(upper=1))


Excess = dict[str, tuple[pd.Series, pd.Series | float]]
"""By part of a law, by how much every row is beyond it, and how much of that may be rounding."""


@dataclass(frozen=True, kw_only=True)
class Law:
    """A law on the values of `names`: they are never beyond `limit`, 0 for gaps (below), 1 for shares (above)."""

    name: str
    claim: str
    names: tuple[str, ...]
    limit: float
    excess: Callable[[Recorded], Excess]
    assumption: str = "a linear head; any features, weights, bias and class sizes"
    source: str
    linear_only: bool = False

    def measured(self, rows: pd.DataFrame) -> float:
        """The value nearest to the limit, or farthest beyond it."""
        values = rows[list(self.names)]
        return float(values.max().max() if self.limit else values.min().min())


def simplex_caps(facts: Mapping[str, Any]) -> dict[str, float]:
    """By recorded layer the largest `efficiency_simplex`, sqrt(min(d, K-1)/(K-1)), from the facts of a manifest."""
    widths = {name: layer["width"] for name, layer in facts.get("layers", {}).items()}
    others = max(facts["classes"] - 1, 1)
    return {
        name: math.sqrt(min(width, others) / others)
        for name, width in {**widths, PENULTIMATE: facts["feature_width"]}.items()
    }


def judge_laws(config: Config, rows: pd.DataFrame, caps: Mapping[str, float]) -> list[Verdict]:
    """A verdict for each law, on all rows: every split, layer and epoch.

    A law that no row has a value for is not applicable.
    """
    every = rows.reindex(columns=[*rows.columns, *(name for name in READ if name not in rows)])
    recorded = Recorded(rows=every, eps=float(np.finfo(config.dtype).eps), caps=caps)
    return [_verdict(law, recorded, bounded=config.constraints.outputs is not None) for law in LAWS]


def _verdict(law: Law, recorded: Recorded, *, bounded: bool) -> Verdict:
    rows = recorded.rows
    excess, where, allowed = _worst(law.excess(recorded), rows)
    count = int(rows[list(law.names)].notna().to_numpy().sum())
    excluded = bounded and law.linear_only
    applies, broken = count > 0 and not excluded, excess > allowed
    claim = f"{law.claim} ({count} measurement{'s' * (count != 1)})"
    return Verdict(
        name=law.name,
        claim=f"{claim}; broken by {where}" if applies and broken else claim,
        predicted=law.limit,
        null=math.nan,
        measured=law.measured(rows),
        later=math.nan,
        deviation=(1 if law.limit else -1) * max(excess, 0.0) + 0.0 if applies else math.nan,
        tolerance=allowed if applies else math.nan,
        verdict=("fails" if broken else "holds") if applies else "not applicable",
        rest="",
        assumption="the outputs are not linear in the features: they are bounded" if excluded else law.assumption,
        source=law.source,
    )


def _worst(parts: Excess, rows: pd.DataFrame) -> tuple[float, str, float]:
    """The largest excess in units of what may be rounding, where it is, and what may be rounding there."""
    excess = pd.DataFrame({part: beyond for part, (beyond, _) in parts.items()}, index=rows.index).to_numpy()
    allowed = pd.DataFrame({part: rounding for part, (_, rounding) in parts.items()}, index=rows.index).to_numpy()
    ratios = excess / allowed
    if np.isnan(ratios).all():
        return 0.0, "", LAW_ROUNDING
    number, part = np.unravel_index(np.nanargmax(ratios), ratios.shape)
    row = rows.iloc[number]
    layer = "" if row["layer"] == PENULTIMATE else f"layer {row['layer']}, "
    where = f"{list(parts)[part]} ({layer}{row['split']} split, epoch {row['epoch']})"
    return float(excess[number, part]), where, float(allowed[number, part])


def _below(name: str, recorded: Recorded, eps: float = EXACT) -> tuple[pd.Series, pd.Series]:
    """By how much a gap is below 0."""
    return -recorded.rows[name], LAW_ROUNDING + recorded.rounding(eps)


def _risk_gap(recorded: Recorded) -> Excess:
    """simplex_efficiency <= 1 says the same, relative to the norms: where both risks are close to log K, or to 0, only
    the share shows a violation."""
    share = recorded.rows["simplex_efficiency"]
    return {
        "risk_gap": _below("risk_gap", recorded),
        "simplex_efficiency": (share - 1, SHARE_ROUNDING),
    }


def _jensen_gap(recorded: Recorded) -> Excess:
    return {"jensen_gap": _below("jensen_gap", recorded, recorded.eps)}


def _gaps(recorded: Recorded) -> Excess:
    """Only the spread within classes is computed in the precision of the features."""
    parts: Excess = {name: _below(name, recorded, recorded.eps if name == GAPS[0] else EXACT) for name in GAPS}
    total = recorded.rows[list(GAPS)].sum(axis=1, skipna=False)
    apart = (total - recorded.rows["risk_gap"]).abs()
    return {**parts, SUM: (apart, LAW_ROUNDING + recorded.rounding(recorded.eps) + EQUAL * total.abs())}


def _efficiencies(recorded: Recorded) -> Excess:
    """An efficiency is the quotient of two margins: what rounding does to the smaller counts in parts of the larger."""
    rows = recorded.rows
    parts: Excess = {}
    larger = recorded.budget
    for name in reversed(EFFICIENCIES):
        highest = rows["layer"].map(recorded.caps).fillna(1.0) if name == "efficiency_simplex" else 1.0
        eps = recorded.eps if name == EFFICIENCIES[0] else EXACT
        allowed = SHARE_ROUNDING + (recorded.rounding(eps) / larger.abs()).fillna(0)
        parts[name] = (rows[name] - highest, allowed)
        larger = larger * rows[name]
    product, share = rows[list(EFFICIENCIES)].prod(axis=1, skipna=False), rows["simplex_efficiency"]
    return {**parts, PRODUCT: ((product - share).abs(), EQUAL * (1 + share.abs()))}


def _output_efficiency(recorded: Recorded) -> Excess:
    share = recorded.rows["output_efficiency"]
    return {"output_efficiency": (share - 1, LAW_ROUNDING)}


LAWS = (
    Law(
        name="risk_gap",
        claim="the risk is never below its floor",
        names=("risk_gap",),
        limit=0.0,
        excess=_risk_gap,
        source="E & Wojtowytsch 2021, Cor. 4.2 averaged over permutations of the classes",
        linear_only=True,
    ),
    Law(
        name="jensen_gap",
        claim="the risk is never below that of the class means",
        names=("jensen_gap",),
        limit=0.0,
        excess=_jensen_gap,
        source="E & Wojtowytsch 2021, Lemma 3.1",
    ),
    Law(
        name="budget_gaps",
        claim="no part of risk_gap is negative, and the six add up to it",
        names=GAPS,
        limit=0.0,
        excess=_gaps,
        source="docs/metrics.md, The collapse budget",
    ),
    Law(
        name="budget_efficiencies",
        claim="no part of simplex_efficiency is above 1, and the six multiply to it",
        names=EFFICIENCIES,
        limit=1.0,
        excess=_efficiencies,
        source="docs/metrics.md, The collapse budget",
    ),
    Law(
        name="output_efficiency",
        claim="no sample's loss is smaller than the norm of its output allows",
        names=("output_efficiency",),
        limit=1.0,
        excess=_output_efficiency,
        assumption="any model, head, bias, bound on outputs, labels and split",
        source="E & Wojtowytsch 2021, Lemma 3.3",
    ),
)
"""In the order of the table of verdicts."""

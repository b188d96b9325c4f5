"""Predicted against measured, joined by name: deviation, tolerance, verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nc_bench.config import Config
from nc_bench.runs.directory import PENULTIMATE
from nc_bench.verdicts.convergence import converged
from nc_bench.verdicts.expectations import Expectation

CLAIMS: Mapping[str, str] = {
    "risk": "the training risk is the smallest possible",
    "simplex_efficiency": "the whole norm budget becomes separation",
    "feature_radius": "features reach the largest norm",
    "head_opnorm": "the head reaches its largest norm",
    "nc1_pinv": "classes are points, against the class means",
    "nc1_quotient": "classes are points, by variances",
    "nc1_cdnv": "classes are points, pair by pair",
    "nc1_radius": "classes are points, the worst sample",
    "output_collapse": "outputs of a class are one point",
    "nc2_equinorm": "class means have equal norms",
    "nc2_equiangular": "class means have equal, widest angles",
    "nc2_equidistant": "class means have equal distances",
    "nc2_etf": "class means form a simplex",
    "centre_offset": "offset of the centre of the class means",
    "nc3_duality_centred": "head and class means are proportional",
    "nc3_alignment_centred": "head rows point at class means",
    "isometry_defect": "the head is an isometry on their span",
    "nc2_equinorm_w_centred": "head rows have equal norms",
    "nc2_equiangular_w_centred": "head rows have equal angles",
    "nc4_mismatch": "the classifier picks the nearest class mean",
    "accuracy": "every training sample is classified right",
}
"""What each name claims, in the order of the table; predicted names that are not here are not judged."""

RELATIVE = frozenset({"risk", "feature_radius", "head_opnorm"})
NETWORK_TOLERANCE = 0.05
EXACT_RISK_TOLERANCE = {"float64": 1e-9, "float32": 1e-5}
EXACT_TOLERANCE = 1e-4
WORST_SAMPLE_TOLERANCE = 0.5
"""A network is held to 5 %, an unconstrained model with a proved minimiser to what the risk's quadratic minimum leaves
of 1e-9; in float32 norms and margins are rounded, and the risk with them, under autocast as a network's. `nc1_radius`
looks at one sample only, and half a radius away that sample is still nearer to its class than to any other."""

ALWAYS_ZERO = 1e-9
"""Below this the null says that the metric cannot tell: for two classes every pair of means is a simplex."""

LAW_ROUNDING = 1e-9


def judge(
    config: Config, expected: Sequence[Expectation], rows: pd.DataFrame, null: Mapping[str, float]
) -> list[dict[str, Any]]:
    """One row per claim, judged on the last recorded epoch of the training split, and the law of every row.

    What is judged is the penultimate layer.

    holds: |measured - predicted| within the tolerance, which for NC2 and NC3 is also never more than half of what
    random directions give. Otherwise not converged if the run still moves, else fails.
    """
    train = rows[(rows["split"] == "train") & (rows["layer"] == PENULTIMATE)]
    if train.empty:
        return []
    last = train.iloc[-1]
    moving = config.training.epochs > 0 and not converged(train, by_stationarity=False)
    judged = []
    for expectation in expected:
        for name in CLAIMS:
            if name in expectation.values:
                judged.append(_verdict(config, name, expectation, float(last[name]), null, moving))
    judged.sort(key=lambda row: list(CLAIMS).index(row["name"]))
    return judged + _law(config, rows)


def _verdict(
    config: Config,
    name: str,
    expectation: Expectation,
    measured: float,
    null: Mapping[str, float],
    moving: bool,
) -> dict[str, Any]:
    predicted, random = expectation.values[name], null.get(name, math.nan)
    deviation = measured - predicted
    if name in RELATIVE and predicted:
        deviation /= abs(predicted)
    tolerance = _tolerance(config, name, random, proved=expectation.proved)
    if expectation.not_applicable:
        verdict, tolerance = "not applicable", math.nan
    elif math.isnan(measured):
        verdict = "not applicable"
    elif abs(deviation) <= tolerance:
        verdict = "holds"
    else:
        verdict = "not converged" if moving else "fails"
    return {
        "name": name,
        "claim": CLAIMS[name],
        "predicted": predicted,
        "null": random,
        "measured": measured,
        "deviation": deviation,
        "tolerance": tolerance,
        "verdict": verdict,
        "assumption": expectation.not_applicable or expectation.assumption,
        "source": expectation.source,
    }


def _tolerance(config: Config, name: str, random: float, *, proved: bool) -> float:
    if config.model.is_feature_table and proved and config.training.autocast == "none":
        return EXACT_RISK_TOLERANCE[config.dtype] if name == "risk" else EXACT_TOLERANCE
    if name == "nc1_radius":
        return WORST_SAMPLE_TOLERANCE
    if math.isnan(random) or random < ALWAYS_ZERO or name in RELATIVE:
        return NETWORK_TOLERANCE
    return min(NETWORK_TOLERANCE, random / 2)


def _law(config: Config, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Law 15 on every recorded row: risk_balanced >= risk_floor, which no linear head can break."""
    gaps = rows["risk_gap"].dropna()
    smallest = float(gaps.min()) if len(gaps) else math.nan
    bounded_outputs = config.constraints.outputs is not None
    applies = not bounded_outputs and not math.isnan(smallest)
    return [
        {
            "name": "risk_gap",
            "claim": f"the risk is never below its floor ({len(gaps)} measurements)",
            "predicted": 0.0,
            "null": math.nan,
            "measured": smallest,
            "deviation": min(smallest, 0.0) if applies else math.nan,
            "tolerance": LAW_ROUNDING if applies else math.nan,
            "verdict": ("holds" if smallest >= -LAW_ROUNDING else "fails") if applies else "not applicable",
            "assumption": "the outputs are not linear in the features: they are bounded"
            if bounded_outputs
            else "a linear head; any features, weights, bias and class sizes",
            "source": "E & Wojtowytsch 2021, Cor. 4.2 averaged over permutations of the classes",
        }
    ]

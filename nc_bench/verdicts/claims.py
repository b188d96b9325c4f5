"""What is claimed of a run, metric by metric, and how near to its predicted value a measurement has to come."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

NETWORK = 0.05
"""A network is held to 5 %."""

ALWAYS_ZERO = 1e-9
"""Below this the null says that the metric cannot tell: for two classes every pair of means is a simplex."""


@dataclass(frozen=True, kw_only=True)
class ToleranceKind:
    """How deviations are taken and bounded.

    relative: the deviation is a share of the predicted value. network: the bound for networks, and wherever no
    minimiser is proved. half_of_null: it is also at most half of what random directions give. exact: the bound, by
    dtype, for an unconstrained model with a proved minimiser.
    """

    relative: bool = False
    network: float = NETWORK
    half_of_null: bool = False
    exact: Mapping[str, float]


MINIMUM = {"float64": 1e-9, "float32": 1e-5}
"""Of the risk; in float32 norms and margins are rounded, and the risk with them."""

AT_MINIMUM = {"float64": 1e-4, "float32": 1e-4}
"""Of everything else: what the risk's quadratic minimum leaves of 1e-9."""

RISK = ToleranceKind(relative=True, exact=MINIMUM)
SIZE = ToleranceKind(relative=True, exact=AT_MINIMUM)
ERROR = ToleranceKind(half_of_null=True, exact=AT_MINIMUM)
WORST_SAMPLE = ToleranceKind(network=0.5, exact=AT_MINIMUM)
"""Looks at one sample only, and half a radius away that sample is still nearer to its class than to any other."""


@dataclass(frozen=True)
class RunClaim:
    """One claim in words, and the kind of its tolerance."""

    sentence: str
    kind: ToleranceKind = ERROR


CLAIMS: Mapping[str, RunClaim] = {
    "risk": RunClaim("the training risk is the smallest possible", RISK),
    "objective": RunClaim("the training objective is the smallest possible", RISK),
    "simplex_efficiency": RunClaim("the whole norm budget becomes separation"),
    "feature_radius": RunClaim("features reach the largest norm", SIZE),
    "head_opnorm": RunClaim("the head reaches its largest norm", SIZE),
    "nc1_pinv": RunClaim("classes are points, against the class means"),
    "nc1_quotient": RunClaim("classes are points, by variances"),
    "nc1_cdnv": RunClaim("classes are points, pair by pair"),
    "nc1_radius": RunClaim("classes are points, the worst sample", WORST_SAMPLE),
    "output_collapse": RunClaim("outputs of a class are one point"),
    "nc2_equinorm": RunClaim("class means have equal norms"),
    "nc2_equiangular": RunClaim("class means have equal, widest angles"),
    "nc2_equidistant": RunClaim("class means have equal distances"),
    "nc2_etf": RunClaim("class means form a simplex"),
    "centre_offset": RunClaim("offset of the centre of the class means"),
    "nc3_duality_centred": RunClaim("head and class means are proportional"),
    "nc3_alignment_centred": RunClaim("head rows point at class means"),
    "isometry_defect": RunClaim("the head is an isometry on their span"),
    "nc2_equinorm_w_centred": RunClaim("head rows have equal norms"),
    "nc2_equiangular_w_centred": RunClaim("head rows have equal angles"),
    "nc4_mismatch": RunClaim("the classifier picks the nearest class mean"),
    "accuracy": RunClaim("every training sample is classified right"),
}
"""By metric name, in the order of the table of verdicts; predicted names that are not here are not judged."""


def is_relative(name: str, predicted: float) -> bool:
    """Whether the deviation of this metric is a share of its predicted value, which must not be 0 for that."""
    return name in CLAIMS and CLAIMS[name].kind.relative and predicted != 0 and not math.isnan(predicted)


def deviation_of(name: str, measured: float, predicted: float) -> float:
    """measured - predicted, divided by |predicted| where that is the kind of the claim."""
    difference = measured - predicted
    return difference / abs(predicted) if is_relative(name, predicted) else difference


def tolerance_of(name: str, null: float, *, exact_in: str = "") -> float:
    """The largest deviation's size with which a claim holds.

    null: what random directions give, NaN where that says nothing. exact_in: the dtype of an unconstrained model with
    a proved minimiser, "" for networks and where nothing is proved.
    """
    kind = CLAIMS[name].kind
    if exact_in:
        return kind.exact[exact_in]
    if kind.half_of_null and null >= ALWAYS_ZERO:
        return min(kind.network, null / 2)
    return kind.network

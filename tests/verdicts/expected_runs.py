"""What is asked of the expectations of a run, by the tests of them."""

from __future__ import annotations

import math
from typing import Any

from nc_bench.config import Config, Mlp, Unconstrained
from nc_bench.verdicts.expectations import Expectation, expectations
from nc_bench.verdicts.observed import CONCENTRATED, SIMPLEX, observed_values

DIGITS = (139, 142, 138, 143, 141, 142, 141, 139, 135, 140)
EQUAL = (10,) * 10
FREE = {"features": None, "head": None}
SIMPLEX_RISK = math.log1p(9 * math.exp(-5 * math.sqrt(10 / 9)))
ORTHOGONAL_RISK = math.log1p(9 * math.exp(-5))


def mlp(**model: Any) -> dict[str, Any]:
    return {"name": "mlp", "widths": [16, 12], **model}


def width(config: Config) -> int:
    """Where the configuration does not say the width, one that is large enough."""
    return config.model.widths[-1] if isinstance(config.model, Mlp | Unconstrained) else 64


def proved(config: Config, counts: tuple[int, ...] = DIGITS) -> Expectation:
    (only,) = expectations(config, counts, width(config))
    assert only.not_applicable == "" and only.assumption and only.source
    return only


def refused(config: Config, counts: tuple[int, ...] = DIGITS) -> str:
    """The reason why there is no prediction; collapse is expected all the same, as observed, not proved."""
    risk, concentrated, simplex = expectations(config, counts, width(config))
    assert list(risk.values) == ["risk"] and math.isnan(risk.values["risk"]) and risk.not_applicable
    assert concentrated.values == observed_values(config, CONCENTRATED) and concentrated.not_applicable == ""
    assert simplex.values.keys() == observed_values(config, SIMPLEX).keys()
    for observed in (concentrated, simplex):
        assert observed.assumption == f"observed on networks, not proved for this one: {risk.not_applicable}"
        assert not observed.proved
    return risk.not_applicable


def no_simplex(config: Config, counts: tuple[int, ...] = EQUAL) -> str:
    """Why no simplex is expected, "" if it is."""
    simplex = expectations(config, counts, width(config))[-1]
    assert set(simplex.values.values()) <= {0.0, 1.0} or all(map(math.isnan, simplex.values.values()))
    assert math.isnan(simplex.values["nc2_etf"]) is bool(simplex.not_applicable)
    return simplex.not_applicable

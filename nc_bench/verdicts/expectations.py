"""What theory expects of a run: from its configuration and class sizes, never from trained numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nc_bench.config import Config
from nc_bench.theory import Prediction
from nc_bench.verdicts.observed import CONCENTRATED, SIMPLEX, SOURCE, no_simplex
from nc_bench.verdicts.proved import known_minimizer


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Values by metric name, what they assume, where they come from, and why they do not apply if they do not.

    `proved` says whether they are those of a minimiser, which a run can come as close to as it likes.
    """

    values: dict[str, float]
    assumption: str
    source: str
    not_applicable: str = ""
    proved: bool = True


def expectations(config: Config, class_counts: Sequence[int], width: int) -> list[Expectation]:
    """What theory says of this run: the exact minimiser where one is known, else what collapse would look like.

    `width` is that of the penultimate features, which for some models only the built model knows.
    """
    proved = known_minimizer(config, class_counts, width)
    if isinstance(proved, Prediction) and proved.applies:
        scalars = {name: float(v) for name, v in proved.values.items() if not isinstance(v, tuple)}
        return [Expectation(values=scalars, assumption="; ".join(proved.assumptions), source=proved.source)]
    reason = proved.reason if isinstance(proved, Prediction) else proved
    risk = Expectation(values={"risk": math.nan}, assumption="", source="", not_applicable=reason)
    return [risk, *_observed(config, class_counts, width, reason)]


def _observed(config: Config, counts: Sequence[int], width: int, reason: str) -> list[Expectation]:
    """What is expected of a run whose minimiser is not known; `reason` says why it is not."""
    without_simplex = no_simplex(config, counts, width)
    return [
        Expectation(
            values=dict.fromkeys(names, math.nan if against else 0.0),
            assumption=f"observed on networks, not proved for this one: {reason}",
            source=SOURCE,
            not_applicable=against,
            proved=False,
        )
        for names, against in ((CONCENTRATED, ""), (SIMPLEX, without_simplex))
    ]

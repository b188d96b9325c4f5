"""What theory expects of a run: from its configuration and class sizes, never from trained numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nc_bench.config import Config
from nc_bench.theory import Prediction
from nc_bench.verdicts.observed import CONCENTRATED, SIMPLEX, SOURCE, no_simplex, observed_values
from nc_bench.verdicts.proved import known_minimizer


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Values by metric name, what they assume, where they come from, and why they do not apply if they do not.

    `proved` says whether they are those of a minimiser, which a run can come as close to as it likes. `equal_outputs`:
    what the risk, or objective, is where all outputs are equal, which is as far as a run is from its minimum before it
    has learnt anything; by name, where it is known.
    """

    values: dict[str, float]
    assumption: str
    source: str
    not_applicable: str = ""
    proved: bool = True
    equal_outputs: Mapping[str, float] = field(default_factory=dict)


def expectations(config: Config, class_counts: Sequence[int], width: int) -> list[Expectation]:
    """What theory says of this run: the exact minimiser where one is known, else what collapse would look like.

    `width` is that of the penultimate features, which for some models only the built model knows.
    """
    proved = known_minimizer(config, class_counts, width)
    if isinstance(proved, Prediction) and proved.applies:
        return [
            Expectation(
                values=_judged(config, proved),
                assumption="; ".join(proved.assumptions),
                source=proved.source,
                equal_outputs=_equal_outputs(config, len(class_counts)),
            )
        ]
    reason = proved.reason if isinstance(proved, Prediction) else proved
    risk = Expectation(values={"risk": math.nan}, assumption="", source="", not_applicable=reason)
    return [risk, *_observed(config, class_counts, width, reason)]


def _judged(config: Config, proved: Prediction) -> dict[str, float]:
    """The numbers of a prediction that a run is held against.

    The plain risk where it is what is minimised: without class weights also the weighted risk of unequal classes. For
    other losses the recorded objective; and where these do not reach the bounds, no risk: it is not at a minimum there.
    """
    numbers = {name: float(value) for name, value in proved.values.items() if not isinstance(value, tuple | str)}
    plain = config.objective.is_plain
    if plain and "class_risks" in proved.values and config.objective.class_weights is None:
        numbers["risk"] = numbers["objective"]
    if not plain and "feature_radius" not in numbers:
        numbers.pop("risk", None)
    if plain and "risk" in numbers and math.isclose(numbers.get("objective", math.nan), numbers["risk"], rel_tol=1e-12):
        numbers.pop("objective")
    return numbers


def _equal_outputs(config: Config, classes: int) -> dict[str, float]:
    """log K for the cross entropy, smoothed or not; penalties are 0 there with features or weight. Else not known."""
    known = {"risk": math.log(classes)}
    if config.objective.is_cross_entropy and config.objective.class_weights is None:
        known["objective"] = math.log(classes)
    return known


def _observed(config: Config, counts: Sequence[int], width: int, reason: str) -> list[Expectation]:
    """What is expected of a run whose minimiser is not known; `reason` says why it is not."""
    without_simplex = no_simplex(config, counts, width)
    one_class = "there is only one class" if len(counts) < 2 else ""
    return [
        Expectation(
            values=dict.fromkeys(values, math.nan) if against else values,
            assumption=f"observed on networks, not proved for this one: {reason}",
            source=SOURCE,
            not_applicable=against,
            proved=False,
        )
        for values, against in (
            (observed_values(config, CONCENTRATED), one_class),
            (observed_values(config, SIMPLEX), one_class or without_simplex),
        )
    ]

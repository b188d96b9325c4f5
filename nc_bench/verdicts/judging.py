"""Predicted against measured, joined by name: deviation, tolerance, verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nc_bench.config import Config, load_config
from nc_bench.runs import RunDirectory, RunTables, read_run
from nc_bench.runs.directory import CONFIG, PENULTIMATE, PREDICTIONS, Verdict
from nc_bench.runs.load import FINISHED, predictions_frame
from nc_bench.runs.rows import rows_to_frame
from nc_bench.verdicts.claims import CLAIMS, is_always_true, tolerance_of, unit_of
from nc_bench.verdicts.expectations import Expectation, expectations
from nc_bench.verdicts.laws import judge_laws, simplex_caps
from nc_bench.verdicts.rest import AT_REST, NOT_KNOWN, STATIONARITY, rest_of, state_of_change
from nc_bench.verdicts.twin import later_row

HOLDS, FAILS, NOT_REACHED, NOT_APPLICABLE = "holds", "fails", "not reached", "not applicable"

BOUND_KEPT = 1e-3
"""Share by which measured norms may exceed a bound that a foreign loop states: a minimum moves by about as much."""

MINIMISED = ("objective", "risk", "margin")
"""The claims that say whether a run has come to a proved minimum; the first that is predicted is what is minimised."""


def judge_run(
    run: RunDirectory,
    config: Config,
    expected: Sequence[Expectation],
    null: Mapping[str, float],
    facts: Mapping[str, Any],
) -> dict[str, str]:
    """Judge the rows that a run has written, and write metrics.csv and predictions.json; the SHA-256 of each.

    `null`: what random directions give, by metric name; `facts`: those of the manifest. RunError for damaged rows,
    OSError if it cannot be written.
    """
    later = later_row(run.path, config)
    return run.finish(judge(config, expected, rows_to_frame(run.rows()), null, simplex_caps(facts), later))


def read_judged_run(directory: str | Path) -> RunTables:
    """As `read_run`; claims of a finished run whose predictions.json is missing or damaged are judged again."""
    run = read_run(directory)
    facts = run.manifest
    lost = PREDICTIONS in facts.get("files", {}) and run.predictions.empty and not run.rows.empty
    if not lost or facts["status"] not in FINISHED:
        return run
    config = load_config(run.path / CONFIG)
    null, caps = null_of(facts), simplex_caps(facts)
    judged = judge(config, expectations_of(config, facts), run.rows, null, caps, later_row(run.path, config))
    return dataclasses.replace(run, predictions=predictions_frame(judged))


def expectations_of(config: Config, manifest: Mapping[str, Any]) -> list[Expectation]:
    """What is expected of the run with this manifest."""
    return expectations(config, manifest["class_counts"], manifest["feature_width"])


def null_of(manifest: Mapping[str, Any]) -> dict[str, float]:
    """What random directions give in the run with this manifest, by metric name; NaN where that is undefined."""
    return {name: math.nan if value is None else value for name, value in manifest["null"].items()}


def judge(
    config: Config,
    expected: Sequence[Expectation],
    rows: pd.DataFrame,
    null: Mapping[str, float],
    caps: Mapping[str, float] | None = None,
    later: Mapping[str, Any] | None = None,
) -> list[Verdict]:
    """One row per claim, judged on the last recorded epoch of the training split, and one per law, judged on all rows.

    Claims are judged on the penultimate layer. `caps`: by layer the largest `efficiency_simplex`, where it is not 1.
    `later`: the last row of the run's longer twin, if there is one.

    holds: the deviation is within the tolerance, which for NC2 and NC3 is also never more than half of what random
    directions give. fails: it is not, in a run that is at rest (see `verdicts.rest`), or better than a proved minimum.
    not reached: it is not, in a run that has not come to the minimiser of which the claim is proved, or of which it is
    not known that it has come to rest. not applicable: the claim cannot be false, or was not measured. A value that is
    undefined because classes have merged, or the head is degenerate, is out of every tolerance.
    """
    train = rows[(rows["split"] == "train") & (rows["layer"] == PENULTIMATE)]
    if train.empty:
        return []
    run = _Measured(config=config, last=dict(train.iloc[-1]), later=later, null=null)
    judged = [verdict for expectation in expected for verdict in run.verdicts(expectation)]
    judged.sort(key=lambda row: list(CLAIMS).index(row["name"]))
    return [*judged, *judge_laws(config, rows, caps or {})]


def is_at_minimum(run: RunTables) -> bool:
    """Whether a minimum is proved for a judged run, and the run has come to it."""
    claims = run.predictions
    gaps = claims["verdict"][claims["name"].isin(MINIMISED) & (claims["verdict"] != NOT_APPLICABLE)]
    return len(gaps) > 0 and bool((gaps == HOLDS).all())


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """A claim's numbers, before what the run as a whole makes of them. `moved`: T and 3T compared."""

    predicted: float
    null: float
    measured: float
    later: float
    deviation: float
    tolerance: float
    moved: str

    @property
    def is_within(self) -> bool:
        return abs(self.deviation) <= self.tolerance


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """The last rows of a run and of its longer twin, and what they are held against."""

    config: Config
    last: Mapping[str, Any]
    later: Mapping[str, Any] | None
    null: Mapping[str, float]

    def verdicts(self, expectation: Expectation) -> list[Verdict]:
        """The verdict on every claim of one expectation."""
        if expectation.proved and (broken := self._broken_bound()):
            expectation = dataclasses.replace(expectation, not_applicable=broken)
        judged = {name: self._numbers(name, expectation) for name in CLAIMS if name in expectation.values}
        gaps = [judged[name] for name in MINIMISED if name in judged] if expectation.proved else []
        at_minimum = bool(gaps) and not expectation.not_applicable and all(gap.is_within for gap in gaps)
        first = next((name for name in MINIMISED if name in judged), "")
        return [self._verdict(name, expectation, claim, at_minimum, name == first) for name, claim in judged.items()]

    def _broken_bound(self) -> str:
        """Which bound that the author of a foreign loop states does not hold, "" if all do."""
        if not self.config.model.is_foreign:
            return ""  # ours hold by construction
        constraints = self.config.constraints
        for residual, bound in (
            ("feature_residual", constraints.features),
            ("head_residual", constraints.head),
            ("output_residual", constraints.outputs),
        ):
            excess = float(self.last.get(residual, 0.0))
            if bound is not None and not excess <= BOUND_KEPT:
                return f"the stated bound {bound.sentence()} is missed by {excess:.2g} of it"
        return ""

    def _numbers(self, name: str, expectation: Expectation) -> _Judged:
        predicted, null = expectation.values[name], self.null.get(name, math.nan)
        exact = self.config.model.takes_indices and expectation.proved and self.config.training.autocast == "none"
        tolerance = tolerance_of(name, null, predicted=predicted, exact_in=self.config.dtype if exact else "")
        measured = float(self.last.get(name, math.nan))
        later = math.nan if self.later is None else float(self.later.get(name, math.nan))
        unit = unit_of(name, predicted, expectation.equal_outputs.get(name, math.nan))
        moved = NOT_KNOWN if self.later is None else state_of_change(measured, later, tolerance * unit)
        return _Judged(
            predicted=predicted,
            null=null,
            measured=measured,
            later=later,
            deviation=(measured - predicted) / unit,
            tolerance=tolerance,
            moved=moved,
        )

    def _verdict(
        self, name: str, expectation: Expectation, claim: _Judged, at_minimum: bool, minimised: bool
    ) -> Verdict:
        against = expectation.not_applicable or self._not_judged(name, claim)
        rest = self._rest(claim, at_minimum)
        if against:
            verdict, rest = NOT_APPLICABLE, ""
        elif claim.is_within:
            verdict = HOLDS
        elif expectation.proved:
            beaten = minimised and claim.deviation < -claim.tolerance
            verdict = FAILS if at_minimum or beaten else NOT_REACHED
        else:
            verdict = FAILS if rest == AT_REST else NOT_REACHED
        return Verdict(
            name=name,
            claim=CLAIMS[name].sentence,
            predicted=claim.predicted,
            null=claim.null,
            measured=claim.measured,
            later=claim.later,
            deviation=claim.deviation,
            tolerance=math.nan if against else claim.tolerance,
            verdict=verdict,
            rest=rest,
            assumption=against or expectation.assumption,
            source=expectation.source,
        )

    def _rest(self, claim: _Judged, at_minimum: bool) -> str:
        if self.config.training.epochs == 0:
            return AT_REST  # nothing is trained: the model is judged as it is
        residual = float(self.last.get(STATIONARITY, math.nan))
        return rest_of(at_minimum=at_minimum, moved=claim.moved, residual=residual)

    def _not_judged(self, name: str, claim: _Judged) -> str:
        """Why a claim says nothing of this run, "" if it does."""
        if is_always_true(claim.predicted, claim.null):
            return "any class means and weights of so few classes have this value"
        if not math.isnan(claim.measured):
            return ""
        if name not in self.last:
            return "it was not measured"
        numbers = [float(self.last.get(size, math.nan)) for size in ("feature_radius", "head_opnorm")]
        undefined = "features or weights are not finite, or a class has no samples"
        return undefined if any(math.isnan(number) for number in numbers) else ""

"""What happened in a run, in plain words that follow from its numbers and verdicts alone."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from nc_bench.reports.budget import budget_sentence
from nc_bench.reports.description import typed_config, wrong_labels
from nc_bench.reports.numbers import PRECISION, ROUNDED, distinct, number, percent
from nc_bench.reports.queries import claim, last_row, last_value, null_value
from nc_bench.reports.summary import ANGLES, broken_law, summary
from nc_bench.runs import RunTables
from nc_bench.runs.directory import PENULTIMATE
from nc_bench.statistics import binomial_tail
from nc_bench.text import listed, plain

VARIANCES = "nc1_quotient"

ROUNDING = 1e-6
"""Relative difference from the predicted risk below which the risk is said to equal it."""

FAR = 100.0
"""Factor beyond which a ratio says no more than "far above"."""

CHANCE_TAIL = 0.05
"""A test accuracy is told from chance where a guesser has one as far off, to either side, less often than this."""

CHANCE_ROOM = 0.05
"""It is called chance where, in addition, no accuracy further off than this would go unnoticed as often."""


def sentence(run: RunTables) -> str:
    """A few sentences about what happened, for a reader who does not know the code.

    What the risk is against its predicted minimum, how far class means and classes are from simplex and points,
    how much of the norm budget became separation, what the verdicts make of it, and what the rest was lost to.
    Conclusions are drawn from
    the verdicts of a completed run only; a run that was stopped, diverged or never measured says so.
    """
    said = [ending(run)]
    if last_row(run, "train"):
        said.append(_measured(run))
        said.append(budget_sentence(run, "train"))
        said.append(_labels(run))
    else:
        said.append("Nothing was measured.")
    said.append(broken_law(run))
    return plain(" ".join(part for part in said if part))


def ending(run: RunTables) -> str:
    """How the run ended, empty if it was completed."""
    manifest = run.manifest
    status, done, planned = manifest.get("status"), manifest.get("epochs_done", 0), manifest.get("epochs", "?")
    resume = "resume=True" if typed_config(run).model.is_foreign else "--resume"
    early = manifest.get("stopped_early")
    how = {
        "complete": f"The run stopped early, after epoch {done} of {planned}: {early}." if early else "",
        "diverged": f"The run diverged after epoch {done} of {planned}: its loss was no longer finite.",
        "interrupted": f"The run was interrupted after {done} of {planned} epochs; {resume} continues it.",
        "failed": f"The run failed after {done} of {planned} epochs.",
        "running": f"The run has not ended: {done} of {planned} epochs are done.",
    }
    return how.get(str(status), f"The status of the run is {status!r}.")


def _measured(run: RunTables) -> str:
    epoch = int(last_row(run, "train")["epoch"])
    foreign = typed_config(run).model.is_foreign
    untrained = (
        "As it was given," if foreign else "Without training" if run.manifest.get("epochs") == 0 else "Before training"
    )
    when = untrained if epoch == 0 else f"After {epoch} epoch" + "s" * (epoch > 1)
    geometry = [part for part in (_undefined(run, epoch), _simplex(run), _points(run), _efficiency(run)) if part]
    said = [part for part in (_risk(run), listed(geometry, ", and ")) if part] or ["no number is defined"]
    text = f"{when} {'; '.join(said)}"
    summed = summary(run)
    return f"{text}: {summed}." if summed else f"{text}."


def _risk(run: RunTables) -> str:
    """The training risk against the smallest one, predicted or, without a prediction, at the norms reached.

    Empty where features were measured without a last layer, or the risk is undefined.
    """
    whole, dtype = last_value(run, "train", "risk"), typed_config(run).dtype
    if math.isnan(whole):
        return ""
    predicted = claim(run, "risk")
    minimum = float(predicted.get("predicted", math.nan))
    if predicted and not math.isnan(minimum):
        return f"the training risk is {_against(whole, minimum, _best(run, predicted), dtype)}"
    risk, floor = (last_value(run, "train", name) for name in ("risk_balanced", "risk_floor"))
    if typed_config(run).constraints.outputs or math.isnan(floor):
        return f"the training risk is {number(whole)}"
    best = "the floor for any features and last layer of the norms reached"
    averaged = "class-averaged " if _differ(risk, whole) else ""
    return f"the {averaged}training risk is {_against(risk, floor, best, dtype)}"


def _best(run: RunTables, predicted: dict[str, Any]) -> str:
    config = typed_config(run)
    if not (config.constraints.features or config.constraints.outputs):
        return f"its predicted value ({predicted['source']})"
    features = "with non-negative features " if config.model.has_nonnegative_features else ""
    return f"the smallest that any classifier {features}within these norms can reach ({predicted['source']})"


def _against(risk: float, best: float, meaning: str, dtype: str) -> str:
    shown, bound, off = distinct(risk, best, 3), distinct(best, risk, 3), abs(risk - best)
    if not _differ(risk, best):
        near = "up to rounding" if off <= ROUNDED * PRECISION[dtype] * abs(best) else f"to within {number(off, 1)}"
        return f"{number(best)}, equal {near} to {meaning}"
    excess = risk / best - 1 if best > 0 else math.inf
    if best > 0 and excess > FAR:
        return f"{shown}, far above {bound}, {meaning}"
    if excess >= 1:
        return f"{shown}, {number(risk / best, 2)} times {bound}, {meaning}" if best > 0 else shown
    return f"{shown}, {percent(abs(excess))} {'above' if excess > 0 else 'below'} {bound}, {meaning}"


def _differ(risk: float, best: float) -> bool:
    return abs(risk - best) > ROUNDING * abs(best)


def _undefined(run: RunTables, epoch: int) -> str:
    """Why there is nothing to say of class means and classes, as where all features coincide."""
    reason = run.reasons.get((epoch, "train", PENULTIMATE, VARIANCES), "")
    is_known = any(not math.isnan(last_value(run, "train", name)) for name in (ANGLES, VARIANCES))
    return f"collapse cannot be measured ({reason})" if reason and not is_known else ""


def _simplex(run: RunTables) -> str:
    off, verdict = last_value(run, "train", ANGLES), _verdict(run, ANGLES)
    if math.isnan(off) or run.manifest.get("classes") == 2:
        return ""  # two centred class means are always opposite, collapse or not
    means = "the class means" + ", seen from their centre," * typed_config(run).model.has_nonnegative_features
    random = null_value(run, ANGLES)
    beside = "" if math.isnan(random) else f" (random directions: {number(random, 2)})"
    if verdict == "holds":
        return f"{means} form a regular simplex to within {number(off, 2)}{beside}"
    state = {"fails": f", beyond the tolerance of {_tolerance(run, ANGLES)}", "not reached": " so far"}.get(verdict, "")
    return f"{means} miss the angles of a regular simplex by {number(off, 2)} in cosine{beside}{state}"


def _points(run: RunTables) -> str:
    ratio = last_value(run, "train", VARIANCES)
    if math.isnan(ratio):
        return ""
    state = {
        "holds": "the classes have collapsed to points",
        "fails": f"the classes have not collapsed to points within the tolerance of {_tolerance(run, VARIANCES)}",
        "not reached": "the classes are not points yet",
    }.get(_verdict(run, VARIANCES))
    if state is None and ratio > FAR:
        return f"the variance within classes is far above that between them ({VARIANCES})"
    if state is None:
        return f"the variance within classes is {number(ratio, 2)} times that between them ({VARIANCES})"
    return f"{state} ({VARIANCES} {distinct(ratio, float(claim(run, VARIANCES)['tolerance']), 2)})"


def _efficiency(run: RunTables) -> str:
    share = last_value(run, "train", "simplex_efficiency")
    if math.isnan(share):
        return ""
    missing = 1 - share
    if abs(missing) < 1e-12:
        amount = "all"
    elif 0 < missing < 5e-4:
        amount = f"all but {number(missing, 1)}"
    else:
        amount = percent(share, 3) if share > 0 else "none"
    return f"{amount} of the norm budget is turned into separation"


def _labels(run: RunTables) -> str:
    """Test accuracy beside chance, and whether the training labels said anything about it."""
    accuracy = last_value(run, "test", "accuracy")
    classes, samples = int(run.manifest.get("classes", 0)), run.manifest.get("samples", {}).get("test", 0)
    wrong = wrong_labels(typed_config(run))
    text = wrong[:1].upper() + wrong[1:]
    if math.isnan(accuracy) or not classes or not samples:
        return text and f"{text}."
    chance = 1 / classes
    beside = beside_chance(round(accuracy * samples), samples, chance)
    test = f"test accuracy is {number(accuracy, 3)}"
    if wrong:
        return f"{text}, and the {test}, {beside or f'where chance is {number(chance, 2)}'}."
    return f"The {test}{', ' + beside if beside else ''}."


def beside_chance(right: int, samples: int, chance: float) -> str:
    """What a number of right answers says against guessing, "" where it is told from it; by exact binomial tails."""
    if (
        min(binomial_tail(right, samples, chance), binomial_tail(samples - right, samples, 1 - chance))
        < CHANCE_TAIL / 2
    ):
        return ""
    low, high = max(chance - CHANCE_ROOM, 0.0), min(chance + CHANCE_ROOM, 1.0)
    above, below = (
        binomial_tail(samples - right, samples, 1 - high),
        binomial_tail(right, samples, low) if low > 0 else 0.0,
    )
    if max(above, below) < CHANCE_TAIL:
        return "which is chance"
    return f"which {samples} samples do not tell from chance, {number(chance, 2)}"


def _tolerance(run: RunTables, name: str) -> str:
    return number(float(claim(run, name).get("tolerance", math.nan)), 2)


def _verdict(run: RunTables, name: str) -> str:
    if run.manifest.get("status") != "complete":
        return ""
    verdict = claim(run, name).get("verdict", "")
    return "" if pd.isna(verdict) else str(verdict)

"""Where the norm budget goes: what the six parts of the collapse budget lack, as numbers and in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nc_bench.reports.description import typed_config
from nc_bench.reports.numbers import number, percent
from nc_bench.reports.queries import curve, last_value
from nc_bench.runs import RunTables
from nc_bench.text import listed
from nc_bench.verdicts.laws import EFFICIENCIES, GAPS, PARTS, SHARE_ROUNDING

Array = NDArray[np.float64]

WORDS: Mapping[str, str] = {
    "within": "spread within classes",
    "pairs": "unequal margins between classes",
    "alignment": "a head that does not point along the class means",
    "isometry": "a head that stretches the class means unevenly",
    "simplex": "class means that are no regular simplex",
    "norm": "short class means",
}
"""What each part of the budget is lost to."""

SHORT: Mapping[str, str] = {
    "within": "spread within\nclasses (NC1)",
    "pairs": "unequal margins\nbetween classes",
    "alignment": "head points off the\nclass means (NC3)",
    "isometry": "head stretches\nunevenly",
    "simplex": "means no regular\nsimplex (NC2)",
    "norm": "short class\nmeans",
}
"""The same in two lines, beside an area of the figure."""

PLURAL = ("pairs", "simplex", "norm")
HEAD = ("alignment", "isometry")

NOTHING = {"float64": 1e-12, "float32": SHARE_ROUNDING}
"""What may be missing by rounding, by the precision of the features."""

LEAST = 0.02
"""Share of what is missing from which on a part is named."""

NO_SHARE = 0.005
"""Share below which a percentage would read 0 %."""

FRACTIONS = {1 / 4: "a quarter", 1 / 3: "one third", 1 / 2: "half", 2 / 3: "two thirds", 3 / 4: "three quarters"}
NEAR = 0.01
"""How near to one of these fractions a share is called so."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What each part lacks, (n, 6) in the order of `PARTS`, at n epochs: -log of its efficiency.

    in_nats: where this is not defined for all parts (an efficiency is not positive), what each adds to the risk, in
    nats. NaN where neither is known.
    """

    epochs: Array
    parts: Array
    in_nats: NDArray[np.bool_]
    rounding: float

    @property
    def known(self) -> bool:
        """Whether the last epoch says it."""
        return len(self.parts) > 0 and bool(np.isfinite(self.parts[-1]).all())

    @property
    def total(self) -> Array:
        """All that is missing: -log simplex_efficiency, or risk_gap."""
        return np.asarray(self.parts.sum(1))

    @property
    def shares(self) -> Array:
        """Of each part in what is missing; NaN where nothing is, up to rounding."""
        total = self.total[:, None]
        return self.parts / np.where(total > self.rounding, total, math.nan)


def missing(run: RunTables, split: str) -> Missing:
    """What the parts of the budget lack on a split, at every recorded epoch. Empty where they were not recorded."""
    epochs, _ = curve(run, split, EFFICIENCIES[0])
    efficiencies, gaps = (_columns(run, split, names, len(epochs)) for names in (EFFICIENCIES, GAPS))
    positive = np.all(efficiencies > 0, axis=1)
    logarithms = -np.log(np.where(positive[:, None], efficiencies, 1.0))
    # Rounding puts an efficiency above 1, and a gap below 0.
    parts = np.where(positive[:, None], logarithms, gaps).clip(min=0)
    return Missing(epochs=epochs, parts=parts + 0.0, in_nats=~positive, rounding=NOTHING[typed_config(run).dtype])


def _columns(run: RunTables, split: str, names: tuple[str, ...], count: int) -> Array:
    columns = [curve(run, split, name)[1] for name in names]
    return np.stack([column if len(column) == count else np.full(count, math.nan) for column in columns], 1)


def budget_sentence(run: RunTables, split: str) -> str:
    """Where the budget went by the last recorded epoch, in words; empty where it is not known.

    "Of the 6 % that is missing, two thirds are short class means, one third spread within classes; the head lacks
    nothing." Where an efficiency is not positive, it is the risk above its floor that is split, in nats.
    """
    found = missing(run, split)
    if not found.known:
        return ""
    of = "" if split == "train" else f" on the {split} samples"
    shares = dict(zip(PARTS, found.shares[-1].tolist(), strict=True))
    if math.isnan(shares["within"]):
        return f"Nothing is missing{of}, up to rounding."
    return f"{_whole(run, split, found, of)}, {_split(shares)}."


def _whole(run: RunTables, split: str, found: Missing, of: str) -> str:
    if found.in_nats[-1]:
        above = number(last_value(run, split, "risk_gap"), 2)
        return (
            f"Of the {above} nats by which the risk{of} is above its floor (not every part has a positive efficiency)"
        )
    share = 1 - last_value(run, split, "simplex_efficiency")
    amount = number(share, 1) if share < 5e-4 else percent(share)
    return f"Of the {amount} that is missing{of}"


def _split(shares: Mapping[str, float]) -> str:
    """The parts that are worth naming, the largest first, the rest together, and the head if it lacks nothing."""
    named = sorted((part for part in PARTS if shares[part] >= LEAST), key=lambda part: -shares[part])
    first, *others = named
    verb = "are" if first in PLURAL and shares[first] < 1 - NO_SHARE else "is"
    parts = [f"{_share(shares[first])} {verb} {WORDS[first]}"]
    parts += [f"{_share(shares[part])} {WORDS[part]}" for part in others]
    rest = 1 - sum(shares[part] for part in named)
    if rest >= LEAST:
        parts.append(f"{_share(rest)} the rest")
    perfect = sum(shares[part] for part in HEAD) < NO_SHARE
    return listed(parts) + "; the head lacks nothing" * perfect


def _share(share: float) -> str:
    """A fraction in words, or a whole percentage."""
    if share > 1 - NO_SHARE:
        return "all"
    words = next((words for fraction, words in FRACTIONS.items() if abs(share - fraction) <= NEAR), "")
    return words or f"{100 * share:.0f} %"

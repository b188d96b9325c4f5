"""A run at a glance: how it ended, its verdicts, the share of the norm budget; for prompt, table, notebook and page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from nc_bench.reports.numbers import percent
from nc_bench.reports.queries import last_value
from nc_bench.runs import RunTables
from nc_bench.text import plain
from nc_bench.verdicts.judging import FAILS, HOLDS, NOT_APPLICABLE, NOT_REACHED

OTHERS = (FAILS, NOT_REACHED, NOT_APPLICABLE)

NO_VERDICT = "no verdict, since a run is judged when it ends"


@dataclass(frozen=True, kw_only=True)
class Glance:
    """held of judged verdicts hold; `others` are the numbers of those that do not, or do not apply.

    efficiency: the share of the norm budget that became separation; accuracy: that on test samples. NaN where unknown.
    """

    status: str
    epochs: str
    held: int
    judged: int
    others: Mapping[str, int]
    efficiency: float
    accuracy: float

    @property
    def verdicts(self) -> str:
        """`38 of 40 verdicts hold, 2 fail`."""
        if not (self.judged or self.others):
            return NO_VERDICT
        others = [f"{n} {'fail' if word == FAILS and n > 1 else word}" for word, n in self.others.items()]
        return ", ".join([f"{self.held} of {self.judged} verdicts hold", *others])

    @property
    def shares(self) -> dict[str, tuple[str, str]]:
        """Efficiency and accuracy, as far as they are known: a percentage, and of what it is one."""
        found = {
            "simplex efficiency": (self.efficiency, "of the norm budget became separation"),
            "accuracy": (self.accuracy, "test accuracy"),
        }
        return {name: (percent(share, 3), of) for name, (share, of) in found.items() if not math.isnan(share)}


def glance(run: RunTables) -> Glance:
    """What is seen of a run at a glance."""
    counts = Counter(run.predictions["verdict"])
    return Glance(
        status=str(run.manifest.get("status")),
        epochs=f"{run.manifest.get('epochs_done', 0)} of {run.manifest.get('epochs', '?')} epochs",
        held=counts[HOLDS],
        judged=sum(counts.values()) - counts[NOT_APPLICABLE],
        others={verdict: counts[verdict] for verdict in OTHERS if counts[verdict]},
        efficiency=last_value(run, "train", "simplex_efficiency"),
        accuracy=last_value(run, "test", "accuracy"),
    )


def glance_text(run: RunTables) -> str:
    """One line: `'results/runs/a': complete, 300 of 300 epochs; 38 of 40 verdicts hold, 2 fail; ...`."""
    return plain(f"{str(run.path)!r}: {'; '.join(_parts(glance(run)).values())}")


def glance_lines(run: RunTables) -> str:
    """The same for a terminal: a line that says which run it is, and one that says what came of it."""
    status, *rest = _parts(glance(run)).values()
    return f"{plain(str(run.path))}: {plain(status)}\n{'; '.join(rest)}"


def glance_html(run: RunTables) -> str:
    """A small table for a notebook; everything that comes from the run is escaped."""
    rows = {"run": str(run.path), **_parts(glance(run))}
    left = ' style="text-align: left"'
    cells = [f"<th{left}>{escape(name)}</th><td{left}>{escape(plain(text))}</td>" for name, text in rows.items()]
    return f"<table><tr>{'</tr><tr>'.join(cells)}</tr></table>"


def _parts(seen: Glance) -> dict[str, str]:
    shares = {name: f"{share} {of}" for name, (share, of) in seen.shares.items()}
    return {"status": f"{seen.status}, {seen.epochs}", "verdicts": seen.verdicts, **shares}

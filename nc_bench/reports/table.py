"""The claims of a run as a table for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby

from nc_bench.reports.claim_rows import HEADER, ClaimRow, claim_rows, footnotes
from nc_bench.runs import RunTables

BUDGET = (
    "norm budget: the separation of the classes that features and last layer of these norms allow; simplex_efficiency "
    "is the share of it that is reached."
)

WIDTH = 108
GAP = "  "
NARROWEST_CLAIM = 24


def summary_table(run: RunTables) -> str:
    """One row per claim of the theory: metric, predicted, null, measured, deviation, tolerance, verdict; footnotes.

    About 108 columns, of plain ASCII where the claims are ASCII. 'null' is what random Gaussian class means and weights
    give at the run's own number of classes and width; '-' stands where there is no number; '[1]' is a footnote.
    """
    rows = claim_rows(run)
    if not rows:
        return "No claim has been judged: a run is judged when it ends."
    widths = _widths(rows)
    parts = [_row(HEADER, widths), _rule(widths)]
    for group, members in groupby(rows, key=lambda row: row.group):
        parts.append(group)
        parts.extend(_row(_cells(row), widths, indent="  ") for row in members)
    parts.append(_rule(widths))
    notes = [*footnotes(run), *([BUDGET] if any(row.name == "simplex_efficiency" for row in rows) else [])]
    parts.extend(textwrap.fill(note, WIDTH, subsequent_indent="  ") for note in notes)
    return "\n".join(parts)


def _cells(row: ClaimRow) -> tuple[str, ...]:
    numbers = (row.predicted, row.null, row.measured, row.deviation, row.tolerance)
    return (f"{row.claim} ({row.name})", *numbers, row.verdict, row.source)


def _widths(rows: Sequence[ClaimRow]) -> tuple[int, ...]:
    table = [HEADER, *(_cells(row) for row in rows)]
    widest = [max(len(cells[column]) for cells in table) for column in range(len(HEADER))]
    rest = sum(widest[1:]) + len(GAP) * (len(HEADER) - 1)
    return (min(widest[0] + 2, max(WIDTH - rest, NARROWEST_CLAIM)), *widest[1:])


def _row(cells: Sequence[str], widths: Sequence[int], indent: str = "") -> str:
    """One claim, its text wrapped; numbers are set right and stand in the claim's last line."""
    text = textwrap.wrap(
        cells[0], widths[0], initial_indent=indent, subsequent_indent=2 * indent, break_on_hyphens=False
    )
    numbers = [cell.rjust(width) for cell, width in zip(cells[1:-2], widths[1:-2], strict=True)]
    last = GAP.join([text[-1].ljust(widths[0]), *numbers, cells[-2].ljust(widths[-2]), cells[-1]])
    return "\n".join([*text[:-1], last])


def _rule(widths: Sequence[int]) -> str:
    return "-" * (sum(widths) + len(GAP) * (len(widths) - 1))

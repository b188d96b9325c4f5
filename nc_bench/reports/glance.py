"""A run at a glance, for the prompt and for a notebook: how it ended, its verdicts, the share of the norm budget."""

from __future__ import annotations

import math
from collections import Counter
from html import escape

from nc_bench.reports.numbers import percent
from nc_bench.reports.queries import last_value
from nc_bench.runs import RunTables
from nc_bench.text import listed, plain
from nc_bench.verdicts.judging import FAILS, HOLDS, NOT_APPLICABLE, NOT_REACHED

VERDICTS = (HOLDS, FAILS, NOT_REACHED, NOT_APPLICABLE)


def glance_text(run: RunTables) -> str:
    """One line: `'results/runs/a': complete, 300 of 300 epochs; 40 claims: 38 holds, 2 fails; ...`."""
    return plain(f"{str(run.path)!r}: " + "; ".join(_parts(run).values()))


def glance_html(run: RunTables) -> str:
    """A small table for a notebook; everything that comes from the run is escaped."""
    rows = {"run": str(run.path), **_parts(run)}
    left = ' style="text-align: left"'
    cells = [f"<th{left}>{escape(name)}</th><td{left}>{escape(plain(text))}</td>" for name, text in rows.items()]
    return f"<table><tr>{'</tr><tr>'.join(cells)}</tr></table>"


def _parts(run: RunTables) -> dict[str, str]:
    manifest = run.manifest
    epochs = f"{manifest.get('epochs_done', 0)} of {manifest.get('epochs', '?')} epochs"
    parts = {"status": f"{manifest.get('status')}, {epochs}"}
    if found := Counter(run.predictions["verdict"]):
        counts = listed([f"{found[verdict]} {verdict}" for verdict in VERDICTS if found[verdict]], ", ")
        parts["claims"] = f"{len(run.predictions)} claims: {counts}"
    efficiency = last_value(run, "train", "simplex_efficiency")
    if not math.isnan(efficiency):
        parts["simplex efficiency"] = f"{percent(efficiency, 3)} of the norm budget became separation"
    return parts

"""Cell statistics as Markdown and as LaTeX. (As CSV they are written as they are.)"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from nc_bench.text import markdown, plain, shortened

DIGITS = 3
LONGEST_LABEL = 200
SMALLEST_P = 0.001

LATEX_ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}"}
)


def markdown_table(cells: pd.DataFrame, by: Sequence[str]) -> str:
    """A row per cell, a column per measure: `mean ± std [low, high]`, and `(n = runs)` where fewer runs than elsewhere
    have the measure; `-` where there is no number."""
    header, rows = _grid(cells, by)
    most = int(cells["runs"].max())
    return text_table(header, [[*labels, *(_plain(row, most) for row in found)] for labels, found in rows])


def difference_markdown(differences: pd.DataFrame, by: Sequence[str]) -> str:
    """A row per cell, a column per measure: `mean [low, high], p = ...`, p adjusted for all of the table."""
    header, rows = _grid(differences, by)
    return text_table(header, [[*labels, *map(_plain_difference, found)] for labels, found in rows])


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Header and rows of text as a Markdown table."""
    lines = [[*map(markdown, header)], ["---"] * len(header), *[[*map(markdown, row)] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def latex_table(cells: pd.DataFrame, by: Sequence[str]) -> str:
    """The same as a `tabular` for the package booktabs, without the intervals: `$mean \\pm std$`."""
    header, rows = _grid(cells, by)
    lines = [
        rf"\begin{{tabular}}{{{'l' * len(by)}{'r' * (len(header) - len(by))}}}",
        r"\toprule",
        " & ".join(map(latex, header)) + r" \\",
        r"\midrule",
        *[" & ".join([*map(latex, labels), *map(_latex, found)]) + r" \\" for labels, found in rows],
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def latex(text: str) -> str:
    """The text on one line, so that LaTeX sets it as it is."""
    return plain(text).translate(LATEX_ESCAPES)


def digits(value: float) -> str:
    """Three significant digits, `-` for NaN."""
    return "-" if math.isnan(value) else f"{value + 0.0:.{DIGITS}g}"


def written(value: object) -> str:
    """A value of a column as text, not longer than a reader reads."""
    return shortened(f"{value:g}" if isinstance(value, float) else str(value), LONGEST_LABEL)


def _grid(cells: pd.DataFrame, by: Sequence[str]) -> tuple[list[str], list[tuple[list[str], list[pd.Series]]]]:
    """Header, and for every cell its labels and its measures."""
    measures = list(dict.fromkeys(cells["measure"]))
    rows: dict[tuple[str, ...], list[pd.Series]] = {}
    for _, row in cells.iterrows():
        rows.setdefault(tuple(str(row[name]) for name in by), []).append(row)
    return [*by, *measures], [(list(labels), found) for labels, found in rows.items()]


def _plain(row: pd.Series, most: int) -> str:
    fewer = f" (n = {row['runs']})" if 0 < row["runs"] < most else ""
    if math.isnan(row["std"]):
        return f"{digits(row['mean'])}{fewer}"
    return f"{digits(row['mean'])} ± {digits(row['std'])} [{digits(row['low'])}, {digits(row['high'])}]{fewer}"


def _plain_difference(row: pd.Series) -> str:
    if math.isnan(row["p_value"]):
        return digits(row["mean"])
    sure = "p < .001" if row["p_holm"] < SMALLEST_P else f"p = {row['p_holm']:.3f}"
    welch = "" if row["paired"] else ", unpaired"
    return f"{digits(row['mean'])} [{digits(row['low'])}, {digits(row['high'])}], {sure}{welch}"


def _latex(row: pd.Series) -> str:
    if math.isnan(row["mean"]):
        return "--"
    return (
        f"${digits(row['mean'])}$" if math.isnan(row["std"]) else rf"${digits(row['mean'])} \pm {digits(row['std'])}$"
    )

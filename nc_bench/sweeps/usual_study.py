"""What a sweep file need not say of its tables and its figure: filled in from the grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nc_bench.sweeps.labels import form_of, label_of
from nc_bench.sweeps.schema import ARM
from nc_bench.sweeps.study import Comparison, Figure, Study

MOST_CURVES = 8
"""Rows of a table up to which each has a curve; beyond, lines over a column of numbers are drawn where there is one."""

LOGARITHMIC = frozenset({"nc1_quotient", "nc2_equiangular"})
"""Usual measures that go to zero through powers of ten."""


def completed(study: Study | None, columns: Sequence[str], cells: Sequence[Mapping[str, Any]]) -> Study:
    """The study with rows, comparison and figure: those stated, or the usual ones of a grid with these columns and
    cells. A label that is compared with is written as the table has it: 0.001 where the file says 1e-3."""
    given = Study() if study is None else study
    rows = given.rows or tuple(columns)
    compare = given.compare
    if compare is None and given.answer is None and ARM in rows:
        compare = Comparison(against=next(cell[ARM] for cell in cells))
    if compare is not None:
        labels = {form_of(label): label for cell in cells for label in (cell.get(compare.column, ""),)}
        wanted = form_of(label_of(compare.against))
        compare = compare.model_copy(update={"against": labels.get(wanted, compare.against)})
    figure = given.figure or _figure(given, rows, cells)
    if not figure.measures:
        figure = figure.model_copy(update={"measures": tuple(given.measures)})
    return given.model_copy(update={"rows": rows, "compare": compare, "figure": figure})


def _figure(study: Study, rows: Sequence[str], cells: Sequence[Mapping[str, Any]]) -> Figure:
    recorded = [name for name, measure in study.measures.items() if measure.is_recorded]
    values = {column: {cell.get(column, "") for cell in cells} for column in rows}
    numbers = [column for column in rows if all(_is_number(value) for value in values[column])]
    many = len({tuple(str(cell.get(column, "")) for column in rows) for cell in cells}) > MOST_CURVES
    if numbers and (many or not recorded):
        x = max(numbers, key=lambda column: len(values[column]))
        return Figure(kind="lines", measures=tuple(study.measures), x=x, log_y=_logarithmic(study.measures))
    return Figure(kind="curves", measures=tuple(recorded), log_y=_logarithmic(recorded))


def _logarithmic(names: Sequence[str] | Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in names if name in LOGARITHMIC)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""Rows in a CSV file that grows while the run is trained; metrics.csv is written when it ends."""

from __future__ import annotations

import csv
from typing import Any

from nc_bench.loggers.protocol import LoggedRun, Row
from nc_bench.runs.rows import NO_NUMBERS

FILE = "log.csv"


class CsvLogger:
    """DIR/log.csv: a line for each row. Where rows bring new columns, the file is written anew with all of them."""

    def __init__(self, run: LoggedRun) -> None:
        self._path = run.path / FILE
        self._rows: list[dict[str, Any]] = [_cells(row) for row in run.rows]
        self._columns = list(dict.fromkeys(name for row in self._rows for name in row))
        self._write_all()

    def log(self, row: Row) -> None:
        """Add a line; the file is complete after each."""
        cells = _cells(row)
        self._rows.append(cells)
        new = [name for name in cells if name not in self._columns]
        if new:
            self._columns += new
            self._write_all()
            return
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(cells)

    def close(self) -> None:
        """Nothing is open between two rows."""

    def _write_all(self) -> None:
        with self._path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            if self._columns:
                writer.writeheader()
            writer.writerows(self._rows)


def _cells(row: Row) -> dict[str, Any]:
    """Empty where a value is undefined."""
    return {name: "" if value != value else value for name, value in row.items() if name not in NO_NUMBERS}

"""The rows of metrics.jsonl: each ends in a SHA-256 that goes over itself and all rows before it.

So a bit that flipped is found in its row, and so is a row that is lost, doubled or in another place. That no row is
missing at the end, say the manifest and the checkpoints: they hold the `Seal` of the rows that they count on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nc_bench.errors import RunError
from nc_bench.runs.files import finite_or_null, parsed_json

ROW_KEYS = {"epoch": "int64", "step": "int64", "split": "str", "layer": "str"}
"""What a row says where it was measured, and the types of these columns; all other columns are float64."""

NO_NUMBERS = {"reasons", "sha256"}
"""Keys of a row that are no columns of the table."""

SEALED = re.compile(rb'(\{.*), "sha256": "([0-9a-f]{64})"\}', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Seal:
    """So many rows, and the SHA-256 of the last of them, which goes over all; "" for no rows."""

    rows: int = 0
    sha256: str = ""

    @classmethod
    def of(cls, stated: Mapping[str, Any]) -> Seal:
        """From the entry of a manifest or a checkpoint."""
        return cls(rows=int(stated["count"]), sha256=str(stated["sha256"]))

    @property
    def stated(self) -> dict[str, Any]:
        """The entry for a manifest or a checkpoint."""
        return {"count": self.rows, "sha256": self.sha256}

    def after(self, body: bytes) -> Seal:
        """The seal once a row with this text (without its own SHA-256 and the closing brace) has been added."""
        return Seal(rows=self.rows + 1, sha256=hashlib.sha256(self.sha256.encode() + body).hexdigest())


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a file as dicts, the text of each line, and the seals after none, one, two, ... of them.

    Rows that another program wrote have no seals: `seals` then holds that of no rows alone. `damage` says what is wrong
    with the row after these, if one is damaged.
    """

    path: Path
    rows: list[dict[str, Any]]
    lines: list[bytes]
    seals: list[Seal]
    damage: str | None = None

    def whole(self) -> Rows:
        """These rows. RunError, one line, if one of the file is damaged."""
        if self.damage is not None:
            raise RunError(self.damage)
        return self

    def up_to(self, seal: Seal) -> Rows:
        """The rows of this seal. RunError, one line, if they are not all there, or are others."""
        if seal.rows >= len(self.seals):
            self.whole()
            raise RunError(
                f"{self.path}: damaged (holds {len(self.seals) - 1} sealed rows, but {seal.rows} were written; "
                "those that are there are good)"
            )
        if self.seals[seal.rows] != seal:
            raise RunError(f"{self.path}: holds the rows of another run (the SHA-256 of row {seal.rows} is another)")
        kept = seal.rows
        return Rows(path=self.path, rows=self.rows[:kept], lines=self.lines[:kept], seals=self.seals[: kept + 1])


def sealed_lines(rows: Iterable[Mapping[str, Any]], seal: Seal) -> tuple[bytes, Seal]:
    """Lines of the file for rows that follow those of the seal, and the seal of all of them."""
    text = b""
    for row in rows:
        body = json.dumps(finite_or_null(row)).encode()[:-1]
        seal = seal.after(body)
        text += body + f', "sha256": "{seal.sha256}"}}\n'.encode()
    return text, seal


def read_rows(path: Path) -> Rows:
    """Rows of a metrics.jsonl up to the first that is damaged, without a last line that a kill cut off.

    RunError, one line, for a file of rows without seals in which a line is no row.
    """
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    found = [SEALED.fullmatch(line) for line in lines]
    if not any(found):
        rows = [_checked(parsed_json(line, path, first_line=number), path, number) for number, line in _numbered(lines)]
        return Rows(path=path, rows=rows, lines=lines, seals=[Seal()])
    seals, damage = [Seal()], None
    for number, match in _numbered(found):
        seal = seals[-1].after(match[1]) if match else None
        if match is None or seal is None or seal.sha256.encode() != match[2]:
            good = f"; rows 1 to {number - 1} are good" if number > 1 else ""
            damage = f"{path}: damaged (row {number} does not match its SHA-256{good})"
            break
        seals.append(seal)
    lines = lines[: len(seals) - 1]
    rows = [_without_seal(json.loads(line)) for line in lines]
    return Rows(path=path, rows=rows, lines=lines, seals=seals, damage=damage)


def read_json_lines(path: Path) -> list[Any]:
    """Entries of a file with one JSON value on each line, without a last line that a kill cut off."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [parsed_json(line, path, first_line=number) for number, line in _numbered(lines)]


def rows_to_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table: numbers as float64 with NaN where a value is undefined, seconds last, reasons left out."""
    frame = pd.DataFrame([{key: value for key, value in row.items() if key not in NO_NUMBERS} for row in rows])
    if frame.empty:
        frame = pd.DataFrame(columns=[*ROW_KEYS, "seconds"])
    types = {name: ROW_KEYS.get(name, "float64") for name in frame.columns}
    ordered = [name for name in frame.columns if name != "seconds"] + ["seconds"] * ("seconds" in frame.columns)
    return frame.astype(types)[ordered]


def _numbered(lines: Iterable[Any]) -> Iterable[tuple[int, Any]]:
    return enumerate(lines, 1)


def _without_seal(row: dict[str, Any]) -> dict[str, Any]:
    del row["sha256"]
    return row


def _checked(row: Any, path: Path, number: int) -> dict[str, Any]:
    """A row that no seal vouches for: it has to say at least where it was measured, and hold numbers."""
    if not isinstance(row, dict):
        raise RunError(f"{path}: damaged (line {number} is no row of a table)")
    if missing := [key for key in ROW_KEYS if key not in row]:
        raise RunError(f"{path}: damaged (line {number} is a row without {missing[0]})")
    numbers = (value for key, value in row.items() if key not in ROW_KEYS and key not in NO_NUMBERS)
    if any(not isinstance(value, int | float | None) for value in numbers):
        raise RunError(f"{path}: damaged (line {number} holds something else than numbers)")
    return row

"""Paths as users write them."""

from __future__ import annotations

import os
import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Any

from nc_bench.errors import UserError


def expanded(path: Any, *, key: str = "", error: type[UserError] = UserError) -> Path:
    """The path with `~` and `~name` replaced by home folders.

    Raises `error`, one line that begins with `key` where it is given: no text or path, or no such home folder.
    """
    place = f"{key}: " if key else ""
    if not isinstance(path, str | bytes | os.PathLike):
        raise error(f"{place}should be a path, not {type(path).__name__}")
    text = os.fsdecode(path)
    if not text.strip() or "\0" in text:
        raise error(f"{place}should be a path, not {text!r}")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        home = Path(text).parts[0]
        raise error(f"{place}{text}: there is no home folder {home}; write the path in full") from None


def printable(path: str | os.PathLike[str]) -> str:
    """The path, on one line: characters that do not print are escaped."""
    text = os.fsdecode(path)
    return text if text.isprintable() else ascii(text)[1:-1]


def default_folder(config: Path) -> Path:
    """Where the results of a file go unless --out says otherwise: results/runs/<name of the file>."""
    name = config.stem
    if not name.strip(". ") or any(unicodedata.category(character) == "Cc" for character in name):
        raise UserError(f"{printable(config)}: its name gives no folder a name; say --out")
    return Path("results") / "runs" / name


def new_directory(folder: Path) -> Path:
    """A directory in the folder that is not there yet, named by the time."""
    return folder / datetime.now().strftime("%Y-%m-%d-%H%M%S.%f")

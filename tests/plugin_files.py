"""Files of plug-ins, as a user writes them into the working directory."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

Written = Callable[[str], str]
"""Writes a module of this text into the working directory; the beginning of the paths of what is in it."""

_numbers = itertools.count()


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """Every module has a name that no other has in this process, and is forgotten when the test ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    names: list[str] = []

    def write(text: str) -> str:
        names.append(f"own_{next(_numbers)}")
        (tmp_path / f"{names[-1]}.py").write_text(dedent(text))
        return f"import:{names[-1]}"

    yield write
    for name in names:
        sys.modules.pop(name, None)

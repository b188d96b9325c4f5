"""Benchmarks and scripts, which no other code imports, follow the package: what they import is there."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = [path for folder in ("benchmarks", "scripts") for path in sorted((ROOT / folder).glob("*.py"))]


def test_every_module_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in {path.parent for path in MODULES}:
        monkeypatch.syspath_prepend(folder)
    for path in MODULES:
        assert import_module(path.stem).__file__ == str(path)


def test_types_are_checked_as_strictly_as_in_the_package() -> None:
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]["overrides"]
    (strict,) = (entry["module"] for entry in overrides if "enable_error_code" in entry)
    assert set(strict) == {"nc_bench.*", *(path.stem for path in MODULES)}

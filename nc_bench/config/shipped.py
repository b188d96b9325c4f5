"""The configurations that come with the package, by name: `digits_ball`, `studies/depth`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nc_bench.errors import ConfigError
from nc_bench.paths import expanded
from nc_bench.text import did_you_mean

PACKAGE = Path(__file__).resolve().parents[1]

SHIPPED = PACKAGE / "shipped" if (PACKAGE / "shipped").is_dir() else PACKAGE.parent / "configs"
"""Their folder: of an installed package its own, where setup.py puts the files, else the repository's `configs`."""


def shipped_names() -> list[str]:
    """The names, those in subfolders last."""
    found = [path.relative_to(SHIPPED).with_suffix("").as_posix() for path in SHIPPED.rglob("*.yaml")]
    return sorted(found, key=lambda name: (name.count("/"), name))


def find_config(given: Any) -> Path:
    """The file that a path or the name of a shipped configuration means; a file that exists comes first.

    Raises ConfigError, one line, for what is neither a path nor text, and for a name, which is text without a dot,
    that is not shipped.
    """
    path = expanded(given, error=ConfigError)
    if path.is_file() or "." in os.fspath(path) or path.is_absolute():
        return path
    name = path.as_posix()
    if name in shipped_names():
        return SHIPPED / f"{name}.yaml"
    if path.exists():
        return path
    hint = did_you_mean(name, shipped_names()) or "`nc-bench configs` lists those that are shipped"
    raise ConfigError(f"{path}: neither a file nor a shipped configuration; {hint}")

"""Libraries that an adapter needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nc_bench.errors import UserError


def required(module: str, *, extra: str) -> Any:
    """The module; UserError, one line that names nc_bench's extra, where its package is not installed."""
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise UserError(f"{package} is not installed: pip install 'nc_bench[{extra}]'") from None

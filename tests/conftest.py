"""What holds for every test: calls are checked against their annotations, and no test fails for being slow.

The place of this file puts its folder on the path, so that tests everywhere can import `small_runs`.
"""

from __future__ import annotations

import pkgutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from jaxtyping import install_import_hook
from plugin_files import plugin

__all__ = ["plugin"]  # a fixture

if TYPE_CHECKING:
    from nc_bench.data import Dataset

PACKAGE = Path(__file__).parents[1] / "nc_bench"
UNCHECKED = {"theory"}
"""Knows no tensors, and checks every number that it is given itself: its tests hand it strings and None."""
CHECKED = [f"nc_bench.{module.name}" for module in pkgutil.iter_modules([str(PACKAGE)]) if module.name not in UNCHECKED]

# From here on each function of these modules is held against its annotations, shapes included, in every call of this
# process (not of those that a test starts). A whole number passes for a float, as it does for a type checker.
assert not any(name.startswith("nc_bench.") for name in sys.modules), "nc_bench was imported before its checks"
install_import_hook(CHECKED, "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def digits() -> Dataset:
    from nc_bench.config import Digits
    from nc_bench.data import load_dataset

    return load_dataset(Digits(name="digits"))

"""Its place puts this folder on the path, so that tests everywhere can import `small_runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nc_bench.data import Dataset


@pytest.fixture(scope="session")
def digits() -> Dataset:
    from nc_bench.config import Digits
    from nc_bench.data import load_dataset

    return load_dataset(Digits(name="digits"))

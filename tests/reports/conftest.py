from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, chromium
from made_runs import write_run

from nc_bench import Run


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """`write_run` into a fresh folder of this name."""

    def make(*, name: str = "a run", **changes: Any) -> Run:
        return write_run(tmp_path / name, **changes)

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found

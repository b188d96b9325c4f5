from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_runs import Open, network

from nc_bench.runs import RunDirectory


@pytest.fixture
def at() -> Iterator[Open]:
    """Run directories that are released at the end."""
    opened = []

    def at(path: Path) -> RunDirectory:
        opened.append(RunDirectory(path))
        return opened[-1]

    yield at
    for run in opened:
        run.release()


@pytest.fixture
def locked(at: Open) -> Open:
    def locked(path: Path) -> RunDirectory:
        run = at(path)
        assert run.lock(network(), resume=False) is False
        return run

    return locked

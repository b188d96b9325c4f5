from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from filelock import FileLock

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Claims are solved as `verify` solves them: on problems this small two threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def obtained(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[ModuleType], dict[str, float]]:
    """What the claims of a topic obtain, solved once for all tests of all processes: theory has no part in it."""
    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent

    def of(topic: ModuleType) -> dict[str, float]:
        kept = shared / f"{topic.__name__}.json"
        with FileLock(f"{kept}.lock"):
            if not kept.exists():
                command = [sys.executable, str(Path(__file__).with_name("obtain.py")), topic.__name__]
                environment = os.environ | {"PYTHONPATH": str(ROOT)}
                done = subprocess.run(command, env=environment, capture_output=True, text=True)
                assert done.returncode == 0, done.stderr
                kept.write_text(done.stdout)
        numbers: dict[str, float] = json.loads(kept.read_text())
        return numbers

    return of

"""The campaign of unplanned inputs runs in the tests, and finds faults that are put in."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nc_bench import collapse_metrics
from nc_bench.data import Dataset, load_dataset

ROOT = Path(__file__).parents[2]


@pytest.fixture
def campaign(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return import_module("input_campaign")


@pytest.mark.slow
def test_two_thousand_inputs_end_as_they_should(campaign: ModuleType) -> None:
    """In a process of its own: in this one annotations are checked before the package's own checks."""
    program = [sys.executable, ROOT / "scripts" / "input_campaign.py", "--cases", "2000"]
    ended = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1200)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = [line.split(" | ") for line in ended.stdout.splitlines()[2:]]
    assert sum(int(row[1]) for row in rows) >= 2000 and len(rows) == len(campaign.AREAS)
    # Each way to end occurs: a campaign whose cases are all refused tries nothing.
    assert all(int(row[2]) + int(row[3]) > int(row[1]) / 20 for row in rows), ended.stdout


def slightly_wrong(*arguments: Any, **keywords: Any) -> dict[str, float]:
    found = collapse_metrics(*arguments, **keywords)
    found["nc1_quotient"] *= 1 + 1e-6
    return found


def without_a_reason(*arguments: Any, **keywords: Any) -> dict[str, float]:
    found = collapse_metrics(*arguments, **keywords)
    found.reasons.clear()
    return found


def with_a_warning(*arguments: Any, **keywords: Any) -> dict[str, float]:
    warnings.warn("overflow", RuntimeWarning, stacklevel=1)
    return collapse_metrics(*arguments, **keywords)


def never(*arguments: Any, **keywords: Any) -> Any:
    time.sleep(60)


def several_lines(*arguments: Any, **keywords: Any) -> Any:
    raise ValueError("one\ntwo")


def without_notes(*arguments: Any) -> Dataset:
    return dataclasses.replace(load_dataset(*arguments), notes=())


def darker(*arguments: Any) -> Dataset:
    data = load_dataset(*arguments)
    return dataclasses.replace(data, train_inputs=data.train_inputs - 0.02)


def as_text(*arguments: Any) -> Dataset:
    data = load_dataset(*arguments)
    assert data.class_names is not None
    return dataclasses.replace(data, class_names=tuple(sorted(data.class_names)))


@pytest.mark.parametrize(
    ("area", "name", "fault", "found"),
    [
        ("features", "input_features.collapse_metrics", slightly_wrong, "nc1_quotient is "),
        ("features", "input_features.collapse_metrics", without_a_reason, "NaN without a reason"),
        ("features", "input_features.collapse_metrics", with_a_warning, "RuntimeWarning: overflow"),
        ("features", "input_features.collapse_metrics", several_lines, "not one line: 'one"),
        ("features", "input_features.collapse_metrics", never, "Hang: longer than 1 s"),
        ("arguments", "input_arguments.load_run", lambda path: path + 1, "TypeError"),
        (
            "configurations",
            "input_documents.config_hash",
            lambda config: id(config),
            "reads differently once it is written out",
        ),
        ("sweep files", "input_documents.config_hash", lambda config: "the same", "two trials are one"),
        ("folders", "input_folders.load_dataset", without_notes, "left out without a word"),
        ("folders", "input_folders.load_dataset", darker, "is off by "),
        ("folders", "input_folders.load_dataset", as_text, "list(data.class_names) == sorted"),
    ],
)
def test_a_fault_is_found(
    monkeypatch: pytest.MonkeyPatch, campaign: ModuleType, area: str, name: str, fault: Callable[..., Any], found: str
) -> None:
    monkeypatch.setattr(name, fault)
    monkeypatch.setattr("input_outcomes.TIMEOUT", 1 if fault is never else 60)
    assert found in campaign.run(area, 400, 0)[2]

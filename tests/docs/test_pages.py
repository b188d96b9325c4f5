"""README.md and the pages of docs/: their code runs as it stands, and prints what they show."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from doc_pages import blocks, difference, run_page

from nc_bench import load_sweep

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HAS_ITS_OWN_TEST = {"plug_ins": "tests/test_plug_ins_page.py"}
RUN = [page for page in PAGES if page.stem not in HAS_ITS_OWN_TEST and any(block.language for block in blocks(page))]


def _python(names: Mapping[str, Any]) -> None:
    assert names["page"].exists() and names["longer"].manifest["status"] == "complete"
    assert len(names["last"]) == 4 and len(load_sweep("runs/rates").trials) == 4
    assert 0 < names["metrics"]["nc1_quotient"] < 0.1


CHECKS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {"python": _python}
"""What the code of a page has to leave, besides running."""


@pytest.mark.slow  # two minutes in all; the tutorial, with its two trainings, has half of them
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("configs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    CHECKS.get(page.stem, lambda names: None)(run_page(page))


def test_what_is_not_run_says_why() -> None:
    reasons = [block.notes["skip"] for page in RUN for block in blocks(page) if "skip" in block.notes]
    assert all(len(reason.split()) >= 2 for reason in reasons)


SHOWN = "...\na  1.00 %\n...\nrisk 0.5 ...\n"


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ("x\na 1.1 %\ny\nz\nrisk 0.49 of 3\nend", True),
        ("a 1 %\nrisk 0.5", True),
        ("a 1.3 %\nrisk 0.5", False),
        ("risk 0.5\na 1 %", False),
        ("a 1\nrisk 0.5", False),
    ],
)
def test_what_a_page_shows_is_compared(printed: str, same: bool) -> None:
    assert (difference(SHOWN, printed) is None) is same

"""docs/python.md: every example runs, in its order, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from nc_bench import load_sweep

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


@pytest.mark.slow  # 10 s: three epochs on digits, two pages, a sweep
def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(examples) >= 6
    names: dict[str, Any] = {"__name__": "__main__"}
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), names)
    assert names["page"].exists() and names["longer"].manifest["status"] == "complete"
    assert len(names["last"]) == 4 and len(load_sweep("runs/rates").trials) == 4
    assert 0 < names["metrics"]["nc1_quotient"] < 0.1

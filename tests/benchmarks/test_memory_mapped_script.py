"""The script that measures features in a file runs to its end, says what it has measured, and leaves no file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "memory_mapped.py"


@pytest.mark.slow  # 5 s
def test_the_product_and_the_metrics_are_timed(tmp_path: Path) -> None:
    options = ["--threads", "2", "--samples", "3000", "--width", "64", "--classes", "10", "--folder", str(tmp_path)]
    said = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, check=True, timeout=300)
    assert re.search(r"^collapse_metrics: .* of processor time; over the product [\d.]+ and [\d.]+$", said.stdout, re.M)
    if Path("/proc/self/status").is_file():
        assert float(re.search(r"^highest RssAnon: ([\d.]+) GB$", said.stdout, re.M)[1]) > 0
    assert list(tmp_path.iterdir()) == []

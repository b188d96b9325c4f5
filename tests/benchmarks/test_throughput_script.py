"""The throughput script runs to its end and says what it has measured."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "throughput.py"


@pytest.mark.slow
def test_every_loop_is_timed_and_compared() -> None:
    options = ["--threads", "1", "--repeats", "1", "--samples", "1280"]
    said = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, check=True, timeout=300)
    for job in ("images", "tensors", "bare", "recorded"):
        wall, own = re.search(rf"^  {job} +([\d.]+) +([\d.]+) +[\d,]+ +\S", said.stdout, re.M).groups()
        assert float(wall) > 0 and float(own) > 0
    ratio = re.search(r"^  images / bare +[\d.]+ +([\d.]+) +>= 5$", said.stdout, re.M)
    assert ratio is not None and float(ratio[1]) > 1

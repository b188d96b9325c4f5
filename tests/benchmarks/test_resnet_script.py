"""The script that times a ResNet runs to its end and says what it has measured, on whatever device there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "resnet.py"


@pytest.mark.slow
def test_every_loop_is_timed_and_compared() -> None:
    options = ["--repeats", "1", "--samples", "20", "--precision", "float32"]
    said = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, check=True, timeout=300)
    for job in ("by hand", "open order", "bare", "recorded"):
        seconds, ratio = re.search(rf"^  {job} +([\d.]+) +[\d,]+ +([\d.]+)$", said.stdout, re.M).groups()
        assert float(seconds) > 0 and float(ratio) > 0
    assert re.search(r"recording takes \d+% of an epoch that is recorded$", said.stdout, re.M)

"""Models of torchvision, timm and Hugging Face: what `measure_model` says of them is what plain NumPy says."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from model_table import CASES, run_case  # noqa: E402

PAGE = ROOT / "docs" / "measure.md"


def test_the_page_shows_every_model() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("<!-- table of models -->")[2]
    rows = re.findall(r"^\| ([^|]+) \| .* \| \d+ \| (\S+) \| `\w+` \|$", text, re.MULTILINE)
    assert [name for name, _ in rows] == list(CASES)
    assert all(float(difference) < 1e-6 for _, difference in rows)
    libraries = Counter(name.partition(":")[0] for name in CASES)
    assert libraries["torchvision"] >= 10 and libraries["timm"] >= 12 and libraries["transformers"] >= 6


@pytest.mark.slow  # about 100 s
@pytest.mark.filterwarnings("ignore")  # of three libraries
@pytest.mark.parametrize("name", CASES)
def test_a_model_is_measured_as_plain_numpy_does(name: str) -> None:
    row = run_case(CASES[name])
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    assert row.difference < 1e-6, row
    assert bool(row.refusal) == CASES[name].averaged
    assert not row.refusal or row.refusal.startswith("the model's output is the average of 2 heads, ")

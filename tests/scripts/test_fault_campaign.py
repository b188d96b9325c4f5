"""The short form of the fault campaign: every few operations and bits, in processes that are really killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_attack_ends_well(tmp_path: Path) -> None:
    """In a process of its own, which forks: this one has threads."""
    command = [sys.executable, "scripts/fault_campaign.py", "--json", str(tmp_path / "table.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "table.json").read_text())
    assert sum(sum(row["outcomes"].values()) for row in rows) > 40
    attacks = " ".join(row["attack"] for row in rows)
    assert all(word in attacks for word in ("killed", "disk", "second writer", "manifest.json", "metrics.jsonl"))


def test_a_run_that_is_not_sealed_would_be_found_out(tmp_path: Path) -> None:
    """With rows that nobody checks, a flipped bit gives another number, and the campaign says so."""
    program = (
        "import sys; sys.path.insert(0, 'scripts')\n"
        "import nc_bench.runs.rows as rows, re, json\n"
        "import nc_bench.runs.directory as directory, nc_bench.runs.load as load\n"
        "class Unchecked(rows.Rows):\n"
        "    def up_to(self, seal): return self\n"
        "def read(path):\n"
        "    lines = path.read_bytes().split(b'\\n')[:-1] if path.exists() else []\n"
        "    found = [json.loads(line) for line in lines]\n"
        "    seals = [rows.Seal(), *(rows.Seal(rows=n, sha256=r.pop('sha256', '')) for n, r in enumerate(found, 1))]\n"
        "    return Unchecked(path=path, rows=found, lines=lines, seals=seals)\n"
        "directory.read_rows = load.read_rows = read\n"
        "import fault_campaign\n"
        "sys.exit(fault_campaign.main(['--only', 'rows']))\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "other numbers" in done.stderr, done.stderr

"""The versions that are installed with their hashes are those that were tested, and every one has its hashes."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_INSTALLED = {"distlib", "platformdirs", "python_discovery", "virtualenv"}
"""In constraints.txt for scripts/environment.sh alone, which fetches virtualenv where Python has no venv."""


def _name(written: str) -> str:
    return re.sub(r"[-_.]+", "-", written).lower()


def _hashed() -> dict[str, tuple[str, list[str]]]:
    """Version and hashes of every requirement."""
    text = (ROOT / "constraints-hashed.txt").read_text().replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line)
        assert match is not None, line
        found[_name(match[1])] = (match[2], re.findall(r"--hash=sha256:([0-9a-f]{64})(?= |$)", line))
        words = line.partition(" --hash")[0]
        assert "://" not in words and "@" not in words, "a version, and not an address"
    return found


def test_every_requirement_has_its_hashes() -> None:
    hashed = _hashed()
    assert len(hashed) > 50
    assert [name for name, (_, hashes) in hashed.items() if not hashes] == []
    assert "://" not in (ROOT / "constraints-hashed.txt").read_text()


def test_the_versions_are_those_that_were_tested() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    hashed = _hashed()
    expected = {_name(name): version for name, version in pinned.items() if name not in NOT_INSTALLED}
    assert {name: hashed[name][0] if name in hashed else None for name in expected} == expected

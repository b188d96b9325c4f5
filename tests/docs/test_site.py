"""The documentation as a site: it builds without a warning, and a reader's browser fetches nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*?\bsrc=["']?(?:https?:)?//|@import|url\(["']?https?:"""
)
"""What a browser fetches from another address when it shows a page."""

STYLE = re.compile(r"""<link\b[^>]*\brel=["']?(?:stylesheet|preconnect|preload|icon)[^>]*>""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow  # 10 s for both
def test_every_page_is_there(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages | {"index", "CONTRIBUTING", "CHANGELOG"} <= {path.stem for path in site.glob("*.html")}
    assert "measure_model" in (site / "api.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert FETCHED.search(text) is None, path
        assert [link for link in STYLE.findall(text) if "//" in link] == [], path
    for path in site.rglob("*.css"):
        assert FETCHED.search(path.read_text(encoding="utf-8")) is None, path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('<img alt="x" src="https://example.org/a.png">', True),
        ("<script src=//example.org/a.js>", True),
        ("a{background:url(https://example.org/a.png)}", True),
        ('<img src="results/a.png"><a href="https://arxiv.org">', False),
    ],
)
def test_what_is_fetched_is_found(text: str, found: bool) -> None:
    assert bool(FETCHED.search(text)) is found

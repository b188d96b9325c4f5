"""What mkdocs is told of pages and files that lie outside docs/ (see mkdocs.yml).

The same Markdown is read on GitHub and on the site. README.md becomes the site's first page, CONTRIBUTING.md,
CHANGELOG.md and the Markdown of results/ become pages, and every other file of the repository that a page links to is
copied beside them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "CHANGELOG.md": "CHANGELOG.md"}
"""Markdown in the repository's root, and its name on the site."""

LINK = re.compile(r"(\]\()([^)#\s:]+)(#[\w-]+)?(\))")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the root, and every file outside docs/ that a page links to."""
    found = {name: ROOT / source for source, name in PAGES.items()}
    waiting = [*found.values(), *sorted((ROOT / "docs").glob("*.md"))]
    while waiting:
        for target in _outside(waiting.pop()):
            name = target.relative_to(ROOT).as_posix()
            if name not in found and name not in PAGES:
                found[name] = target
                waiting += [target] if target.suffix == ".md" else []
    for name, path in found.items():
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with its links as they are on the site, where docs/ is the root."""
    source = Path(page.file.abs_src_path).relative_to(ROOT)
    here = posixpath.dirname(page.file.src_uri)

    def moved(match: re.Match[str]) -> str:
        opened, link, anchor, closed = match.groups()
        target = posixpath.normpath(posixpath.join(source.parent.as_posix(), link))
        return f"{opened}{posixpath.relpath(_on_site(target), here or '.')}{anchor or ''}{closed}"

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(moved, part) for part in parts)


def _on_site(path: str) -> str:
    """Where a file of the repository is on the site."""
    return PAGES.get(path, path.removeprefix("docs/"))


def _outside(page: Path) -> Iterator[Path]:
    """The files outside docs/ that a page links to."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for match in LINK.finditer(text):
        target = (page.parent / match[2]).resolve()
        if target.is_file() and target.is_relative_to(ROOT) and not target.is_relative_to(ROOT / "docs"):
            yield target

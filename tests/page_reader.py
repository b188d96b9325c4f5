"""Reads a page as a browser would, without running it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "input"}
HOSTILE = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(2)>", "\"'&amp;", "\u202eabc", "n" * 300)
"""Names that would run as code, end an element, turn what stands beside them, or are long."""


class Reader(HTMLParser):
    """Collects tags, attributes, text and scripts, and insists that every tag is closed where it should be."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts[-1] += data
        else:
            self.text += data

    @property
    def data(self) -> dict[str, Any]:
        """What the page's scripts read."""
        return dict(json.loads(self.scripts[0]))

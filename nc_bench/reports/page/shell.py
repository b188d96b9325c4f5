"""One HTML file around a body: its data, style sheet and scripts are in it, and it refers to nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nc_bench.runs.files import finite_or_null
from nc_bench.text import BIDI, plain

STYLE = "page.css"

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The browser loads nothing for this page, whatever is in it."""

NO_SCRIPT = "<noscript><p>The pictures are drawn by this page's script, which the browser does not run.</p></noscript>"


def source(name: str, package: str = __package__) -> str:
    """The text of a script or style sheet that comes with a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def html_page(title: str, body: Iterable[str], data: Mapping[str, Any], scripts: Iterable[str]) -> bytes:
    """The file; `data` is what the scripts, given as texts, read from the element with the id `data`."""
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(plain(title))}</title>"
    )
    content, script = "\n".join(body), "\n".join(scripts)
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>{head}\n<style>{source(STYLE)}</style></head>\n<body>\n{content}\n'
        f'<script type="application/json" id="data">{_json(data)}</script>\n'
        f'<script>"use strict";\n(() => {{\n{script}\n}})();</script>\n</body>\n</html>\n'
    )
    # A character that turns the direction of writing would turn what stands beside it, too. Names of folders and files
    # need not be text.
    return page.translate(dict.fromkeys(map(ord, BIDI), "\ufffd")).encode(errors="backslashreplace")


def link_to(target: Path, page: Path) -> str:
    """The address of a file or folder, seen from a page; it stays right where both are moved together."""
    try:
        path = os.path.relpath(target.resolve(), page.resolve().parent)
    except ValueError:  # on another drive
        return target.resolve().as_uri()
    return quote(path.replace(os.sep, "/"), errors="surrogateescape")


def _json(data: Mapping[str, Any]) -> str:
    """JSON that cannot end the element that it stands in."""
    text = json.dumps(finite_or_null(data), ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")

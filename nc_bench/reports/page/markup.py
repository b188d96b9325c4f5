"""Tables and badges of the pages, as HTML."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from html import escape


def html_table(
    header: Iterable[str], rows: Iterable[str], kind: str = "", *, words: Collection[str] = (), label: str = "Table"
) -> str:
    """A table in a box of its own that scrolls, whose head is repeated where it is printed on several pages.

    rows: HTML. words: the columns of the header that hold text and not numbers.
    """
    cells = [f'<th scope="col"{_class("words" if name in words else "")}>{escape(name)}</th>' for name in header]
    lines = "\n".join(rows)
    return (
        f'<div class="scroll" role="region" aria-label="{escape(label)}" tabindex="0"><table{_class(kind)}>\n'
        f"<thead><tr>{''.join(cells)}</tr></thead>\n<tbody>\n{lines}\n</tbody></table></div>"
    )


def html_cell(text: str, kind: str = "") -> str:
    """A cell that holds a text."""
    return f"<td{_class(kind)}>{escape(text)}</td>"


def badge(verdict: str, text: str = "") -> str:
    """A verdict in its colour; `text` stands in its place if it is given."""
    return f'<span class="verdict {escape(verdict.replace(" ", "-"))}">{escape(text or verdict)}</span>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""

"""Words that messages and pages are made of: suggestions, lists, values and errors in one line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows, also outside the text that they are in."""

VALUE_LENGTH = 60
"""Characters of a value in a message; longer ones are cut."""


def did_you_mean(given: object, known: Iterable[str], *, most: int = 1) -> str:
    """`did you mean 'train'?`, with up to `most` known names that look like the given one; empty if none does."""
    from difflib import get_close_matches  # Here, as yaml below: a command's help needs neither.

    near = [f"'{name}'" for name in get_close_matches(str(given), list(known), n=most)]
    return f"did you mean {listed(near, ' or ')}?" if near else ""


def listed(parts: Sequence[str], joint: str = " and ") -> str:
    """`a`, `a and b`, `a, b and c`; `joint` stands before the last."""
    return f"{', '.join(parts[:-1])}{joint}{parts[-1]}" if len(parts) > 1 else "".join(parts)


def shown(value: Any) -> str:
    """A value as YAML writes it on one line, shortened if long."""
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return shortened(" ".join(text.removesuffix("\n...\n").split()), VALUE_LENGTH)


def shortened(text: str, length: int) -> str:
    """The text if it has at most `length` characters, else its beginning and `...`, together of that length."""
    return text if len(text) <= length else text[: length - 3] + "..."


def plain(text: str) -> str:
    """The text on one line without what moves a cursor or the direction of writing: each of these is a `\ufffd`."""
    return "".join(
        "\ufffd" if character in BIDI or unicodedata.category(character) in ("Cc", "Cs") else character
        for character in " ".join(text.split())
    )


def markdown(text: str) -> str:
    """The text on one line, so that Markdown shows it as it is: in a table, a heading or a paragraph."""
    entities = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
    escaped = re.sub(r"[&<>]", lambda found: entities[found[0]], re.sub(r"([\\`*|~$])", r"\\\1", plain(text)))
    # An underscore within a word emphasises nothing; a bracket that nothing follows makes no link.
    escaped = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", escaped)
    return re.sub(r"\](?=[(\[:])", r"\\]", escaped)


def first_line(error: BaseException) -> str:
    """The first line of an error's message that is not blank; the name of its class if there is none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def one_line(error: BaseException) -> str:
    """An error's whole message with its lines joined by spaces; the name of its class if it is empty."""
    return " ".join(str(error).split()) or type(error).__name__

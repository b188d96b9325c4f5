"""What tables show of a value, and when two written values are the same one: `1e-3` and 0.001, `[1]` and `[1.0]`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from nc_bench.config.values import number_in
from nc_bench.text import shortened

MOST_NAMED = 10
LABEL_LENGTH = 40


def label_of(value: Any) -> Any:
    """A value as a table shows it: itself if it is one number, text or flag, else as text. `1e-3` is a number."""
    if isinstance(value, str):
        number = number_in(value)
        return value if number is None else number
    if isinstance(value, int | float):
        return value
    return "none" if value is None else str(list(value) if isinstance(value, tuple) else value)


def form_of(value: Any) -> Hashable:
    """Equal for two values, or labels, exactly if a configuration reads them alike."""
    if isinstance(value, bool):
        return ("flag", value)
    if isinstance(value, str):
        number = number_in(value)
        return value if number is None else ("number", number)
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, list | tuple):
        return ("list", tuple(form_of(entry) for entry in value))
    if isinstance(value, dict):
        return ("mapping", frozenset((key, form_of(inner)) for key, inner in value.items()))
    return value


def named(labels: Iterable[Any]) -> str:
    """The first labels of a column, and how many more there are."""
    texts = [shortened(str(label), LABEL_LENGTH) for label in labels]
    more = f" and {len(texts) - MOST_NAMED:,} more" if len(texts) > MOST_NAMED else ""
    return ", ".join(texts[:MOST_NAMED]) + more

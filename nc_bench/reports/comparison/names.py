"""Short names for runs that stand beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nc_bench.text import plain, shortened

LONGEST = 60


def short_names(paths: Sequence[Path]) -> list[str]:
    """A different name for each directory: its last parts, as many as it takes to tell it from the others.

    The directories are different ones. Names that are alike in their first LONGEST characters get a number.
    """
    parts = [path.resolve().parts for path in paths]
    names = [_ending(own, [other for other in parts if other != own]) for own in parts]
    short = [shortened(plain(name), LONGEST) for name in names]
    counts, seen = Counter(short), Counter[str]()
    found = []
    for name in short:
        seen[name] += 1
        found.append(f"{name} ({seen[name]})" if counts[name] > 1 else name)
    return found


def _ending(own: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    for length in range(1, len(own) + 1):
        if all(tuple(other[-length:]) != tuple(own[-length:]) for other in others):
            return "/".join(own[-length:])
    return "/".join(own)

"""The code of documentation pages, run in the order in which a reader meets it.

Blocks of a page share one namespace and one folder. A block whose first line is `# NAME.py` (or `.yaml`) is a file that
the reader makes. Comments before a block, which no reader sees, say how it is run:

    <!-- test: with training.epochs=2 -->    further arguments for the commands of the block
    <!-- test: read 4 for 101 -->            a number (or word) of the block that is another one in the test
    <!-- test: skip REASON -->               not run; the reason says where it is, or why it cannot be
    <!-- test: output -->                    a text block: what the blocks since the last one printed
    <!-- test: setup                         Python that is run before the block, up to -->
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_bench.cli import main as nc_bench

BLOCK = re.compile(r"((?:^<!-- test: .*?-->\n+)*)^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOTE = re.compile(r"<!-- test: (\w+)\s*(.*?)\s*-->", re.DOTALL)
FILE = re.compile(r"# ([\w/]+\.(?:py|yaml))\n")
RUN = ("bash", "python", "yaml")
TAKES_ARGUMENTS = ("train", "sweep", "verify", "measure")


@dataclass(frozen=True, kw_only=True)
class Block:
    language: str
    text: str
    notes: dict[str, str]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, each with the notes before it."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [_block(kind, text, dict(NOTE.findall(notes))) for notes, kind, text in found]


def _block(language: str, text: str, notes: dict[str, str]) -> Block:
    if "read" in notes:
        new, old = notes["read"].split(" for ")
        assert old in text, f"the block has no {old}:\n{text}"
        text = text.replace(old, new)
    return Block(language=language, text=text, notes=notes)


def run_page(page: Path) -> dict[str, Any]:
    """Run the blocks of a page in the working directory; the names that its Python leaves."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = io.StringIO()
    for block in blocks(page):
        if "setup" in block.notes:
            exec(compile(block.notes["setup"], str(page), "exec"), names)
        if "skip" in block.notes:
            continue
        if "output" in block.notes:
            differs = difference(block.text, printed.getvalue())
            assert differs is None, (
                f"{page.name}: the page shows\n{differs}\nand the code printed\n{printed.getvalue()}"
            )
            printed = io.StringIO()
        elif made := FILE.match(block.text):
            Path(made[1]).write_text(block.text)
        elif block.language == "python":
            with contextlib.redirect_stdout(printed):
                exec(compile(block.text, str(page), "exec"), names)
        elif block.language == "bash":
            for command in commands(block):
                with contextlib.redirect_stdout(printed):
                    status = nc_bench(command)
                assert status == 0, f"{page.name}: nc-bench {shlex.join(command)} ended with {status}"
        else:
            assert block.language not in RUN, f"{page.name}: a {block.language} block that is no file\n{block.text}"
    return names


def commands(block: Block) -> list[list[str]]:
    """The commands of a block as arguments of `nc-bench`, with those that its note adds."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[0] == "nc-bench", f"only nc-bench is run; say why this is skipped: {line}"
        more = shlex.split(block.notes.get("with", "")) if words[1] in TAKES_ARGUMENTS else []
        found.append([*words[1:], *more])
    return found


def difference(shown: str, printed: str) -> str | None:
    """The lines that a page shows and the code did not print, None where it did.

    A line `...` is any number of lines, a `...` at the end of a word or line anything; numbers agree to 20 % or .02,
    since training differs from machine to machine.
    """
    lines, place = printed.splitlines(), 0
    for part in re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE):
        wanted = part.splitlines()
        starts = range(place, len(lines) - len(wanted) + 1)
        fits = (
            start
            for start in starts
            if all(_same_line(one, two) for one, two in zip(wanted, lines[start : start + len(wanted)], strict=True))
        )
        start = next(fits, None)
        if start is None:
            return part
        place = start + len(wanted)
    return None


def _same_line(shown: str, printed: str) -> bool:
    one, two = shown.split(), printed.split()
    if one and one[-1] == "...":
        one = one[:-1]
        two = two[: len(one)]
    return len(one) == len(two) and all(map(_same_word, one, two))


def _same_word(shown: str, printed: str) -> bool:
    if shown.endswith("..."):
        return printed.startswith(shown.removesuffix("..."))
    try:
        one, two = (float(word.strip("()%,;.")) for word in (shown, printed))
    except ValueError:
        return shown == printed
    return abs(one - two) <= max(0.2 * abs(one), 0.02)

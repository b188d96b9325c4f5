"""YAML text as plain values; refuses what readers of YAML take differently, and what explodes when it is read."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from nc_bench.errors import ConfigError
from nc_bench.text import one_line

MAX_BYTES = 1_000_000
"""Of a file: some 80,000 values of an axis, which take seconds to read."""

MAX_DEPTH = 40
"""Of lists and mappings in each other."""

MAX_DIGITS = 40
"""Of a whole number."""

MAX_NODES = 500_000
"""Values of a file, where what an alias or a merge key repeats counts every time."""

MERGE = "tag:yaml.org,2002:merge"
NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*|0x[0-9a-fA-F]+|0b[01]+)|[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
"""Numbers that are read alike in YAML 1.1, YAML 1.2 and JSON; unlike 010 (8 in YAML 1.1), 1_000 and 1:30 (90)."""


def parse_yaml(text: str | bytes, place: str, *, times: bool = False) -> Any:
    """The value that YAML text holds: mappings, lists, text, numbers, truth values and null.

    times: take 12:00:00, which YAML 1.1 reads as a number of seconds, for the text that YAML 1.2 reads.

    Raises ConfigError, one line that begins with `place` and names line and column: no YAML, a repeated key, more
    than MAX_DEPTH, MAX_NODES or MAX_BYTES, a list or mapping inside itself, text that is no Unicode, a number or a
    truth value in a form that YAML 1.1 and 1.2 read differently (`010`, `1_000`, `1:30`, `on`), a date.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{place}: longer than {MAX_BYTES:,} bytes, which no configuration needs")
    try:
        return yaml.load(text, _LoaderOfTimes if times else _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(f"{place}{where}: {problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{place}: not readable as YAML: {one_line(error)}") from None


class _Refused(yaml.MarkedYAMLError):
    def __init__(self, node: yaml.Node | yaml.Event, problem: str) -> None:
        super().__init__(None, None, problem, node.start_mark)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader within the limits above. PyYAML itself keeps the last of repeated keys, in silence."""

    def __init__(self, stream: str | bytes) -> None:
        super().__init__(stream)
        self._depth = 0
        self._sizes: dict[yaml.Node, int] = {}
        self._depths: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Refused(event, f"lists and mappings nested more than {MAX_DEPTH} levels deep")
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        if isinstance(event, yaml.AliasEvent):
            if node not in self._sizes:
                raise _Refused(event, f"*{event.anchor} stands inside of what it names")
            if self._depth + self._depths[node] > MAX_DEPTH:
                raise _Refused(event, f"lists and mappings nested more than {MAX_DEPTH} levels deep")
        else:
            self._measure(node)
        return node

    def _measure(self, node: yaml.Node) -> None:
        """Keep how many values the node holds and how deep they are, and refuse more than there may be."""
        if isinstance(node, yaml.MappingNode):
            self._check_keys(node)
            inner = [part for pair in node.value for part in pair]
        else:
            inner = node.value if isinstance(node, yaml.SequenceNode) else []
        self._depths[node] = 1 + max((self._depths[part] for part in inner), default=0)
        self._sizes[node] = size = 1 + sum(self._sizes[part] for part in inner)
        if size > MAX_NODES:
            raise _Refused(node, f"more than {MAX_NODES:,} values, counting what aliases repeat")

    def _check_keys(self, node: yaml.MappingNode) -> None:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _Refused(key_node, "a key should be text, not a list or a mapping")
            if key_node.tag == MERGE:
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise _Refused(key_node, f"repeated key '{key}'")
            seen.add(key)

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        if problem := _ambiguous(node):
            raise _Refused(node, problem)
        return node


class _LoaderOfTimes(_Loader):
    """The same, with times of day and durations as text."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)
        is_time = kind is yaml.ScalarNode and tag.endswith((":int", ":float")) and ":" in value
        return "tag:yaml.org,2002:str" if is_time else tag


def _ambiguous(node: yaml.ScalarNode) -> str:
    """Why a scalar is not taken: what it would be read as, and what to write; empty if it is clear."""
    kind, written = node.tag.rpartition(":")[2], node.value
    if any("\ud800" <= character <= "\udfff" for character in written):
        return "holds a lone surrogate, which no file can hold"
    if kind in ("int", "float"):
        return _ambiguous_number(node, written)
    if kind == "bool" and written.lower() not in ("true", "false"):
        meant = "true" if written.lower() in ("on", "yes") else "false"
        return _read_otherwise(written, meant, meant)
    if kind == "timestamp":
        return f"{written} is read as a date, which nothing here takes; write '{written}' in quotes for text"
    if kind == "value":
        return f"{written} has a meaning of its own in YAML 1.1; write '{written}' in quotes for text"
    return ""


def _ambiguous_number(node: yaml.ScalarNode, written: str) -> str:
    if len(written) > MAX_DIGITS and written.lstrip("+-").isdigit():
        return f"a whole number of more than {MAX_DIGITS} digits"
    # The fields themselves say that they take finite numbers.
    if NUMBER.fullmatch(written) or written.lower().lstrip("+-") in (".inf", ".nan"):
        return ""
    try:
        read = yaml.constructor.SafeConstructor().construct_object(node)
    except ValueError:
        return f"'{written}' is no number"
    return _read_otherwise(written, f"the number {read}", "a number in plain decimals")


def _read_otherwise(written: str, read: str, instead: str) -> str:
    return f"{written} is read as {read} by some and as text by others; write {instead}, or '{written}' for text"


def _refuse_tag(loader: _Loader, node: yaml.Node) -> None:
    kind = node.tag.rpartition(":")[2]
    raise _Refused(node, f"values of the kind '{kind}' are not taken; write a list, a mapping, text or a number")


for _kind in ("binary", "omap", "pairs", "set", "timestamp"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _refuse_tag)

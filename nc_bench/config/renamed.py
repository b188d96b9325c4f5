"""What is left of a section when an override gives it another name: `optimizer.name=adam` where a file says sgd."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from nc_bench.config.base import Section
from nc_bench.config.plugin import tag_of
from nc_bench.config.problems import contents_of
from nc_bench.config.schema import Config
from nc_bench.telling import tell
from nc_bench.text import listed, shown

NAME = ".name"


def without_keys_of_old_names(written: Mapping[str, Any], changes: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The settings without the keys that a section has under its old name and not under the one that `changes` state.

    written: nested, as a file holds them. changes: values by dotted keys; `place` is where they come from. What is left
    out, and what is kept, is said on the standard error.
    """
    settings = dict(written)
    for key, name in changes.items():
        path = key.removesuffix(NAME)
        section = _section_at(settings, path) if key.endswith(NAME) else None
        if section is None:
            continue
        kinds = _kinds_at(settings, path)
        old, new = kinds.get(tag_of(section) or ""), kinds.get(tag_of({"name": name}) or "")
        if old is None or new is None:
            continue
        others = [inner for inner in section if inner in old.model_fields and inner not in new.model_fields]
        if others:
            kept = {inner: value for inner, value in section.items() if inner not in others}
            settings = _replaced(settings, path.split("."), kept)
            _say(place, key, name, others, kept)
    return settings


def _say(place: str, key: str, name: Any, others: list[str], kept: Mapping[str, Any]) -> None:
    if os.environ.get("RANK", "0") != "0":
        return
    stays = [f"{inner}: {shown(value)}" for inner, value in kept.items() if inner != "name"]
    tell(
        f"{place}: {key}={shown(name)}: leaves out {listed(others)}, which {shown(name)} does not have"
        + (f"; keeps {listed(stays)}" if stays else "")
    )


def _section_at(settings: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    section: Any = settings
    for part in path.split("."):
        section = section.get(part) if isinstance(section, Mapping) else None
    return section if isinstance(section, Mapping) else None


def _kinds_at(settings: Mapping[str, Any], path: str) -> dict[str, type[Section]]:
    """The sections that the key at a path chooses among, by their names; empty if there is no choice."""
    owner: type[Section] | None = Config
    section: Any = settings
    kinds: dict[str, type[Section]] = {}
    for part in path.split("."):
        found = contents_of(owner.model_fields.get(part)) if owner is not None else None
        section = section.get(part)
        kinds = found if isinstance(found, dict) else {}
        owner = found if isinstance(found, type) else kinds.get(tag_of(section) or "")
    return kinds


def _replaced(settings: Mapping[str, Any], path: list[str], section: Mapping[str, Any]) -> dict[str, Any]:
    first, *rest = path
    return {**settings, first: _replaced(settings[first], rest, section) if rest else dict(section)}

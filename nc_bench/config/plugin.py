"""What sections share that may name a plug-in of the user: its path, its arguments, the digest of its source."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from nc_bench.config.base import Section
from nc_bench.config.values import number_in
from nc_bench.plugins import PATTERN, is_plugin, source_digest

PLUGIN_TAG = "import:<module>:<name>"
"""How messages list plug-ins among the choices."""


class _Given(dict[str, Any]):
    """Arguments, which count in the hash of a frozen section."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(json.dumps(self, sort_keys=True))


def _argument(value: Any) -> Any:
    """A value as a function gets it: 1e-3, which YAML reads as text, is a number here as everywhere."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("should have text as keys")
        return _Given({key: _argument(inner) for key, inner in value.items()})
    if isinstance(value, list | tuple):
        return [_argument(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("should hold finite numbers only")
    if isinstance(value, str):
        read = number_in(value) if "e" in value.lower() else None
        return value if read is None else read
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ValueError(f"should hold numbers, text, lists and mappings, not a {type(value).__name__}")


def _path(value: str) -> str:
    if not re.fullmatch(PATTERN, value):
        raise ValueError("should be import:package.module:name")
    return value


PluginPath = Annotated[str, AfterValidator(_path), Field(json_schema_extra={"pattern": PATTERN})]
Arguments = Annotated[dict[str, Any], AfterValidator(_argument)]


class WithArguments(Section):
    """A section that names something which is called with arguments."""

    arguments: Arguments = Field(
        default_factory=_Given,
        description="What it is called with besides what it is always given, by the names in its signature.",
    )


class PluginSection(WithArguments):
    """A section whose `plugin_key` may be the path of a plug-in. Its source is in the configuration as a digest.

    So the hash of a configuration, and what tells two of them apart, know of a changed source, also where the files
    are no longer there.
    """

    plugin_key: ClassVar[str] = "name"

    source: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{16}$",
        description="Digest of the plug-in's source, filled in when a configuration is read; training refuses another "
        "source.",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_source(cls, given: Any) -> Any:
        path = given.get(cls.plugin_key) if isinstance(given, dict) else None
        if is_plugin(path) and re.fullmatch(PATTERN, path) and given.get("source") is None:
            return {**given, "source": source_digest(path)}
        return given

    def plugin_problems(self, place: str) -> list[str]:
        """Arguments and a source without a plug-in, one `dotted.path: problem` each."""
        if is_plugin(getattr(self, self.plugin_key)):
            return []
        needed = f"needs {place}.{self.plugin_key}: {PLUGIN_TAG}"
        given = {"arguments": bool(self.arguments), "source": self.source is not None}
        return [f"{place}.{key}: {needed}" for key, is_given in given.items() if is_given]


class NamedPlugin(NamedTuple):
    """A plug-in of a configuration: the key that names it, its path, and the digest of its source."""

    key: str
    path: str
    source: str | None


def plugins_of(section: Section, prefix: str = "") -> list[NamedPlugin]:
    """All plug-ins that a configuration names."""
    found = []
    if isinstance(section, PluginSection):
        path = getattr(section, section.plugin_key)
        if is_plugin(path):
            found.append(NamedPlugin(f"{prefix}{section.plugin_key}", path, section.source))
    for key in type(section).model_fields:
        value = getattr(section, key)
        listed = {f"{key}.{index}": inner for index, inner in enumerate(value)} if isinstance(value, tuple) else {}
        for place, inner in (listed or {key: value}).items():
            if isinstance(inner, Section):
                found += plugins_of(inner, f"{prefix}{place}.")
    return found


def tag_of(value: Any) -> str | None:
    """What chooses a section of a union: its name; of `library:name` and of plug-ins only the kind."""
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    if name is None:
        return None
    if is_plugin(name):
        return PLUGIN_TAG
    library, colon, _ = str(name).partition(":")
    return f"{library}:<name>" if colon else str(name)

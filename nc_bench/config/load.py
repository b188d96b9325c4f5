"""A configuration from a YAML file and the overrides of the command line, checked; and as YAML again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nc_bench.config.problems import problems_of
from nc_bench.config.schema import Config
from nc_bench.config.yaml_text import MAX_BYTES, parse_yaml
from nc_bench.errors import ConfigError
from nc_bench.paths import expanded

COMMAND_LINE = "command line"


def load_config(path: Any, overrides: Sequence[str] = ()) -> Config:
    """The configuration in a YAML file, with `dotted.key=value` overrides applied in their order.

    `~` in the path is the home folder. An override's value is YAML: a number, text, a list, a mapping that replaces the
    whole section, or null.
    Sections that are missing or null are made. `optimizer.name=adam` keeps the other keys of `optimizer`.

    Raises ConfigError, one line per problem, each naming the file (or the command line) and the dotted path:
    the file cannot be read, is not YAML, repeats a key, holds unknown keys, wrong or contradictory values.
    """
    written = read_mapping(expanded(path, error=ConfigError))
    settings = dict(written)
    for override in overrides:
        apply_override(settings, override)
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        keys = [override.partition("=")[0].strip() for override in overrides]
        places = {True: COMMAND_LINE, False: str(path)}
        lines = [
            f"{places[_overridden(problem.path, keys, written)]}: {problem.path}: {problem.text}"
            for problem in problems_of(error)
        ]
        raise ConfigError("\n".join(lines)) from None


def dump_config(config: Config) -> str:
    """The configuration as YAML, every default written out; `load_config` reads it back equal."""
    return yaml.dump(config.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, width=110)


class _Dumper(yaml.SafeDumper):
    """Sections in blocks, lists on one line."""

    def represent_list(self, data: list[Any]) -> yaml.Node:
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


_Dumper.add_representer(list, _Dumper.represent_list)


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, not yet checked; ConfigError naming the file if there is none."""
    settings = parse_yaml(_bytes(path), str(path))
    if settings is None:
        raise ConfigError(f"{path}: the file is empty")
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: should hold a mapping of keys to values, not a {type(settings).__name__}")
    return settings


def _bytes(path: Path) -> bytes:
    """The file's content, one byte more than is taken at most. A pipe or a device might never end: ConfigError."""
    try:
        special = path.exists() and not path.is_file() and not path.is_dir()
    except ValueError:
        special = False
    if special:
        raise ConfigError(f"{path}: is no regular file")
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a character that no path can hold
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def apply_override(settings: dict[str, Any], override: str) -> None:
    """Set what `dotted.key=value` says in nested settings; ConfigError if it is not of that form."""
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"{COMMAND_LINE}: '{override}' is not of the form dotted.key=value")
    section = settings
    for depth, part in enumerate(parts[:-1], start=1):
        inner = {} if section.get(part) is None else section[part]
        if not isinstance(inner, dict):
            raise ConfigError(f"{COMMAND_LINE}: '{override}': {'.'.join(parts[:depth])} is a value, not a section")
        section[part] = dict(inner)  # a copy: the same mapping may stand elsewhere through a YAML alias
        section = section[part]
    section[parts[-1]] = parse_yaml(text, f"{COMMAND_LINE}: '{override}'")


def _overridden(path: str, keys: Sequence[str], written: dict[str, Any]) -> bool:
    """Whether the value at a path came from an override rather than from the file."""
    if any(path == key or path.startswith(f"{key}.") for key in keys):
        return True
    inner: Any = written
    for part in path.split("."):
        if not isinstance(inner, dict) or part not in inner:
            return any(key.startswith(f"{path}.") for key in keys)
        inner = inner[part]
    return False

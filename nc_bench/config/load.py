"""A configuration from a YAML file or from Python, and what overrides it, checked; and as YAML again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nc_bench.config.problems import problems_of
from nc_bench.config.renamed import without_keys_of_old_names
from nc_bench.config.schema import Config
from nc_bench.config.shipped import find_config
from nc_bench.config.yaml_text import MAX_BYTES, parse_yaml
from nc_bench.errors import ConfigError

COMMAND_LINE, ARGUMENTS = "command line", "run_training"
"""Where overrides come from."""


def load_config(path: Any, overrides: Sequence[str] = ()) -> Config:
    """The configuration in a YAML file, with `dotted.key=value` overrides applied in their order.

    path: a file, or the name of a configuration that comes with the package, such as `digits_ball`; `~` is the home
    folder. An override's value is YAML: a number, text, a list, a mapping that replaces the whole section, or null.
    Sections that are missing or null are made. `optimizer.name=adam` keeps those keys of `optimizer` that Adam has,
    and says on the standard error which it leaves out.

    Raises ConfigError, one line per problem, each naming the file (or the command line) and the dotted path:
    the file cannot be read, is not YAML, repeats a key, holds unknown keys, wrong or contradictory values.
    """
    file = find_config(path)
    written = read_mapping(file)
    keys = [override.partition("=")[0].strip() for override in overrides]
    return _checked(with_overrides(written, overrides), written, keys, {True: COMMAND_LINE, False: str(file)})


def config_of(given: Any, overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration that Python code means: a file, a shipped name, a mapping as a file holds it, or a `Config`.

    overrides: values by dotted keys, `{"training.epochs": 2}`, applied as `load_config` applies those of a command
    line. NumPy's numbers and paths are taken as plain ones. Raises ConfigError as `load_config` does.
    """
    if isinstance(given, Config):
        # What was not stated follows from the rest, and might contradict what is overridden.
        place, written = "config", given.model_dump(mode="json", exclude_unset=True)
    elif isinstance(given, Mapping):
        place, written = "config", _plain(given)
    else:
        file = find_config(given)
        place, written = str(file), read_mapping(file)
    changes = _plain(overrides or {})
    settings = without_keys_of_old_names(written, changes, ARGUMENTS)
    for key, value in changes.items():
        set_value(settings, key, value, f"{ARGUMENTS}: '{key}'")
    return _checked(settings, written, list(changes), {True: ARGUMENTS, False: place})


def _plain(value: Any, key: str = "") -> Any:
    """Mappings, lists, numbers and text as YAML has them; ConfigError for anything else."""
    if isinstance(value, Mapping):
        return {inner: _plain(value[inner], f"{key}.{inner}" if key else str(inner)) for inner in value}
    if isinstance(value, list | tuple):
        return [_plain(inner, key) for inner in value]
    if isinstance(value, PathLike):
        return fspath(value)
    if callable(getattr(value, "tolist", None)):  # arrays and numbers of NumPy, without importing it
        return value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConfigError(f"{key}: {type(value).__name__} given, which is no value of a configuration")


def _checked(settings: dict[str, Any], written: dict[str, Any], keys: Sequence[str], places: dict[bool, str]) -> Config:
    """The typed configuration; `places` name where the overridden keys come from (True), and what was written."""
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        lines = [
            f"{places[_overridden(problem.path, keys, written)]}: {problem.path}: {problem.text}"
            for problem in problems_of(error)
        ]
        raise ConfigError("\n".join(lines)) from None


def dump_config(config: Config) -> str:
    """The configuration as YAML, every default written out; `load_config` reads it back equal.

    Of a foreign loop only what is known of it: a default would be a guess.
    """
    stated_only = config.model.is_foreign
    return yaml.dump(
        config.model_dump(mode="json", exclude_unset=stated_only), Dumper=_Dumper, sort_keys=False, width=110
    )


class _Dumper(yaml.SafeDumper):
    """Sections in blocks, lists on one line."""

    def represent_list(self, data: list[Any]) -> yaml.Node:
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


_Dumper.add_representer(list, _Dumper.represent_list)


def read_mapping(path: Path, *, times: bool = False) -> dict[str, Any]:
    """The mapping in a YAML file, not yet checked; ConfigError naming the file if there is none.

    times: see `parse_yaml`.
    """
    settings = parse_yaml(_bytes(path), str(path), times=times)
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


def with_overrides(written: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Nested settings with `dotted.key=value` overrides applied; ConfigError for one that is not of that form."""
    changes = [_change(override) for override in overrides]
    settings = without_keys_of_old_names(written, {key: value for key, value, _ in changes}, COMMAND_LINE)
    for change in changes:
        set_value(settings, *change)
    return settings


def _change(override: str) -> tuple[str, Any, str]:
    """Key, value and place of an override."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.strip().split(".")):
        raise ConfigError(f"{COMMAND_LINE}: '{override}' is not of the form dotted.key=value")
    place = f"{COMMAND_LINE}: '{override}'"
    return key.strip(), parse_yaml(text, place), place


def set_value(settings: dict[str, Any], key: str, value: Any, place: str) -> None:
    """Set the value at a dotted key of nested settings; ConfigError, beginning with `place`, where it has no room."""
    parts = key.split(".")
    if not all(parts):
        raise ConfigError(f"{place}: is no dotted key, such as training.epochs")
    section = settings
    for depth, part in enumerate(parts[:-1], start=1):
        inner = {} if section.get(part) is None else section[part]
        if not isinstance(inner, dict):
            raise ConfigError(f"{place}: {'.'.join(parts[:depth])} is a value, not a section")
        section[part] = dict(inner)  # a copy: the same mapping may stand elsewhere through a YAML alias
        section = section[part]
    section[parts[-1]] = value


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

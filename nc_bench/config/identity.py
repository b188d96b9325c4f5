"""What tells one configuration from another: its settings as flat keys, their hash, and what differs."""

from __future__ import annotations

import json
import math
from hashlib import sha256
from typing import Any

from pydantic.fields import FieldInfo

from nc_bench.config.base import Section
from nc_bench.config.schema import Config
from nc_bench.text import shown

Scalar = bool | int | float | str | None
Leaf = Scalar | tuple[Any, ...]


def flatten(config: Config) -> dict[str, Leaf]:
    """Every setting under its dotted path, a plug-in's arguments too; lists are tuples, a bound not set is one None."""
    return dict(_leaves(config, ""))


def shared_settings(config: Config) -> dict[str, Leaf]:
    """The settings in which stacked trials agree, under their dotted paths: all but `Section.per_trial`."""
    return dict(_leaves(config, "", but_per_trial=True))


def config_hash(config: Config) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the settings that a run's numbers depend on.

    A field enters if it has no default, if its value is not the default, and if it is the `name` that chooses the
    section. So a field that is added with a default changes no hash, and a released default has to stay.
    Never in it (`Section.not_in_hash`) are the device, where the data lie, whether they are downloaded and how much of
    them is held in memory, the number of epochs and what ends them early (a finished run can be extended), and the
    time between checkpoints.
    """
    text = json.dumps(_identity(config), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode()).hexdigest()[:16]


def config_changes(old: Config, new: Config) -> list[str]:
    """What differs between two configurations, a line each: `optimizer.lr: 0.05 -> 0.1`.

    Keys that never enter `config_hash` are ignored, so the list is empty exactly if the hashes agree.
    Of two models, optimizers or schedules of different name, only the keys that both have are compared.
    """
    return _changes(old, new, "")


def _identity(value: Any) -> Any:
    """A value as JSON has it; of a section, the fields that enter the hash."""
    if isinstance(value, Section):
        given = {key: (field, _identity(inner)) for key, field, inner in _fields(value) if key not in value.not_in_hash}
        return {key: inner for key, (field, inner) in given.items() if key == "name" or inner != _default(field)}
    if isinstance(value, tuple | list):
        return [_identity(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _identity(entry) for key, entry in value.items()}
    if value == math.inf:
        return "inf"  # JSON has no word for it
    return value + 0.0 if isinstance(value, float) else value  # -0.0 is 0.0, as it is in a comparison


def _default(field: FieldInfo) -> Any:
    """The default as JSON has it; of a field without one, what no value equals."""
    return _identity(field.get_default(call_default_factory=True))


def _fields(section: Section) -> list[tuple[str, FieldInfo, Any]]:
    return [(key, field, getattr(section, key)) for key, field in type(section).model_fields.items()]


def _changes(old: Any, new: Any, path: str) -> list[str]:
    if old == new:
        return []
    if not (isinstance(old, Section) and isinstance(new, Section)):
        return [f"{path}: {shown(_plain(old))} -> {shown(_plain(new))}"]
    prefix, ignored = f"{path}." if path else "", old.not_in_hash | new.not_in_hash
    return [
        line
        for key, _, value in _fields(old)
        if key not in ignored and key in type(new).model_fields
        for line in _changes(value, getattr(new, key), prefix + key)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        given = value.model_dump(mode="json", warnings=False)
        return {key: inner for key, inner in given.items() if inner or key not in ("arguments", "source")}
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, tuple | list) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list | tuple) else value


def _leaves(value: Any, path: str, *, but_per_trial: bool = False) -> list[tuple[str, Leaf]]:
    if isinstance(value, tuple) and any(isinstance(entry, Section) for entry in value):
        value = {str(index): entry for index, entry in enumerate(value)}
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, f"{path}.{key}")]
    if not isinstance(value, Section):
        return [(path, _tuples(value))]
    left_out = value.per_trial if but_per_trial else frozenset()
    prefix = f"{path}." if path else ""
    return [
        leaf
        for key, _, inner in _fields(value)
        if key not in left_out
        for leaf in _leaves(inner, prefix + key, but_per_trial=but_per_trial)
    ]

"""What tells one configuration from another: its settings as flat keys, their hash, and what differs."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from nc_bench.config.schema import Config
from nc_bench.text import shown

Scalar = bool | int | float | str | None
Leaf = Scalar | tuple[Scalar, ...]

NOT_PART_OF_THE_RESULT = frozenset(
    {
        "device",
        "data.memory_gb",
        "data.root",
        "data.workers",
        "data.download",
        "training.checkpoint_seconds",
        "training.epochs",
        "training.stop",
        "training.stop.simplex_efficiency",
        "training.stop.terminal_epochs",
    }
)

ADDED_LATER: dict[str, Leaf] = {
    "constraints.features.set": "ball",
    "constraints.head.set": "spectral",
    "objective.class_weights": None,
    "objective.label_smoothing": 0.0,
}
"""Settings younger than the first hashes, and the value that stands for what was done before there was a choice."""


def flatten(config: Config) -> dict[str, Leaf]:
    """Every setting under its dotted path; lists are tuples, and a bound that is not set is one None."""
    return dict(_leaves(config.model_dump(), ""))


def config_hash(config: Config) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the settings that a run's numbers depend on.

    Left out are the device, where the data lie, whether they are downloaded and how much of them is held in
    memory, the number of epochs and what ends them early (a finished run can be extended), and the time between
    checkpoints; and settings that were added later, while they say what was done before, so that a run keeps its hash.
    """
    flat = {key: leaf for key, leaf in flatten(config).items() if key not in NOT_PART_OF_THE_RESULT}
    identity = {key: leaf for key, leaf in flat.items() if key not in ADDED_LATER or leaf != ADDED_LATER[key]}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode()).hexdigest()[:16]


def config_changes(old: Config, new: Config) -> list[str]:
    """What differs between two configurations, a line each: `optimizer.lr: 0.05 -> 0.1`.

    Keys that `config_hash` leaves out are ignored, so the list is empty exactly if the hashes agree.
    Of two models, optimisers or schedules of different name, only the keys that both have are compared.
    """
    return _changes(old.model_dump(mode="json"), new.model_dump(mode="json"), "")


def _leaves(value: Any, path: str) -> list[tuple[str, Leaf]]:
    if not isinstance(value, dict):
        return [(path, value)]
    return [leaf for key, inner in value.items() for leaf in _leaves(inner, f"{path}.{key}" if path else key)]


def _changes(old: Any, new: Any, path: str) -> list[str]:
    if old == new or path in NOT_PART_OF_THE_RESULT:
        return []
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [f"{path}: {shown(old)} -> {shown(new)}"]
    prefix = f"{path}." if path else ""
    return [line for key in old if key in new for line in _changes(old[key], new[key], prefix + key)]

"""Which trials can be stacked: trained as one batched program. Those that differ only in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nc_bench.config import Config, ConfigError, shared_settings
from nc_bench.text import shown

MAX_STACK = 32
"""Most trials in one stack. Beyond it a step costs no less per trial, for networks of width 64 on one core."""


def groups(configs: Sequence[Config], limit: int = MAX_STACK) -> list[list[int]]:
    """Positions of the configurations that are to be trained together, in groups of at most `limit`.

    The trials of a group agree in all `shared_settings`. Groups of one stack differ in size by one at most.
    A model that has no stacked form is a group of its own, and so is a trial of L-BFGS.
    """
    stacks: dict[object, list[int]] = {}
    for position, config in enumerate(configs):
        key = tuple(sorted(shared_settings(config).items())) if _has_stacked_form(config) else position
        stacks.setdefault(key, []).append(position)
    return [part for stack in stacks.values() for part in _evenly(stack, limit)]


def check_stackable(configs: Sequence[Config]) -> None:
    """Raises ConfigError naming what differs if these trials cannot be one group."""
    first = shared_settings(configs[0])
    for config in configs[1:]:
        other = shared_settings(config)
        for key in [*first, *other]:
            if first.get(key) != other.get(key):
                values = f"{shown(first.get(key))} and {shown(other.get(key))}"
                raise ConfigError(f"{key}: stacked trials must agree in it, got {values}")
    for key, value, why in _choices(configs[0]):
        if len(configs) > 1 and why:
            raise ConfigError(f"{key}: {value} cannot be stacked: {why}")


def _has_stacked_form(config: Config) -> bool:
    return not any(why for _, _, why in _choices(config))


def _choices(config: Config) -> list[tuple[str, str, str]]:
    """What may stand against stacking: key, value, and why trials with it cannot be stacked, empty if they can."""
    plugin_set = config.constraints.plugin
    return [
        ("optimizer.name", config.optimizer.name, config.optimizer.not_stacked),
        ("model.name", config.model.name, config.model.not_stacked),
        ("objective.loss", config.objective.loss, config.objective.not_stacked),
        ("constraints", plugin_set, "a plug-in sees one trial at a time" if plugin_set else ""),
    ]


def _evenly(positions: list[int], limit: int) -> list[list[int]]:
    parts = -(-len(positions) // limit)
    bounds = [len(positions) * part // parts for part in range(parts + 1)]
    return [positions[start:end] for start, end in pairwise(bounds)]

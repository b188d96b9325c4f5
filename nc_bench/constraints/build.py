"""From configurations to sets: those of features, head and outputs, for trials that differ only in their radii."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nc_bench.config import Config, ConfigError
from nc_bench.constraints.base import ConstraintSet
from nc_bench.constraints.plugin import plugin_set
from nc_bench.constraints.sets import Ball, MeanSquareBall, SpectralBall, Sphere
from nc_bench.plugins import is_plugin

SETS: dict[str, type[ConstraintSet]] = {
    "ball": Ball,
    "sphere": Sphere,
    "mean_square": MeanSquareBall,
    "spectral": SpectralBall,
    "unit_rows": Sphere,
}
"""The class of every value of `constraints.*.set`."""


def build_set(configs: Sequence[Config], bounded: Literal["features", "head", "outputs"]) -> ConstraintSet | None:
    """The set that `constraints.<bounded>` names, with one radius per trial; None where there is no bound.

    All trials have the same set and exponent. Every call returns a new module, on the CPU and in float64.
    Raises ConfigError for a set without the map that is needed: of a forward pass for outputs and the features of a
    network, a projection for a head and a table of features. PluginError for a plug-in that cannot be used.
    """
    bounds = [bound for config in configs if (bound := getattr(config.constraints, bounded)) is not None]
    if not bounds:
        return None
    name, radii = bounds[0].set, [bound.norm for bound in bounds]
    made = plugin_set(f"constraints.{bounded}", bounds[0], radii) if is_plugin(name) else None
    kind = SETS[name] if made is None else type(made)
    table = configs[0].model.is_feature_table
    in_forward_pass = bounded == "outputs" or (bounded == "features" and not table)
    if not (kind.in_forward_pass if in_forward_pass else kind.on_parameters):
        needed = "map for a forward pass" if in_forward_pass else "projection"
        raise ConfigError(f"constraints.{bounded}.set: {name} has no {needed}")
    return kind(radii, bounds[0].p) if made is None else made

"""A set of the user's own: a class derived from `ConstraintSet`, tried before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nc_bench.config import FeatureBound, HeadBound
from nc_bench.constraints.base import ConstraintSet
from nc_bench.plugins import Plugin, load_plugin


def plugin_set(key: str, bound: FeatureBound | HeadBound, radii: Sequence[float]) -> ConstraintSet:
    """The set that the plug-in makes of radii and exponent. Raises PluginError, one line, where it cannot be used:

    it is no such class, or one of its maps fails, changes the shape, or gives no gradient or no residual.
    """
    plugin = load_plugin(f"{key}.set", bound.set, bound.source)
    kind = plugin.value
    if not (isinstance(kind, type) and issubclass(kind, ConstraintSet)):
        raise plugin.refused("should be a class derived from nc_bench.constraints.ConstraintSet")
    made: ConstraintSet = plugin(list(radii), bound.p, **plugin.keywords(bound.arguments, positional=2))
    with plugin.own_errors(), torch.enable_grad():
        _try(plugin, made)
    return made


def _try(plugin: Plugin, made: ConstraintSet) -> None:
    x = torch.linspace(-3, 3, 12 * len(made.radius), dtype=torch.float64).view(len(made.radius), 4, 3)
    maps = {
        "bound": made.bound if made.in_forward_pass else None,
        "project": made.project if made.on_parameters else None,
    }
    for name, apply in maps.items():
        given = x.clone().requires_grad_(name == "bound")
        moved = given if apply is None else apply(given)
        if moved.shape != x.shape or not bool(moved.isfinite().all()):
            raise plugin.refused(f"its {name}(x) should be finite and of the shape of x")
        if name == "bound" and not moved.requires_grad:
            raise plugin.refused("its bound(x) has no gradient with respect to x")
    residual = made.residual(made.statistics(x))
    if residual.shape != x.shape[:1]:
        raise plugin.refused(f"its residual should be a number for each trial, not of shape {tuple(residual.shape)}")

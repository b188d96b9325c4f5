"""The points of a grid before their configurations are checked: arms, axes, pairs, seeds, less what is excluded."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

from nc_bench.config import ConfigError
from nc_bench.sweeps.axes import Axis, axis_values
from nc_bench.sweeps.exclusions import Exclusions
from nc_bench.sweeps.labels import form_of
from nc_bench.sweeps.schema import ARM, RESERVED, SEED, Arm, Sweep

MAX_TRIALS = 10_000
"""Points of the largest grid that needs no --yes."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A point before its configuration is checked: what it sets, and where the file says so."""

    cell: dict[str, Any]
    seed: int
    settings: dict[str, Any]
    origins: Mapping[str, str]


def all_places(sweep: Sweep, path: Path, most: int | None) -> list[Place]:
    """Every point that is not excluded. ConfigError for more than `most` of them, and for what contradicts itself."""
    arms = _arms(sweep, path)
    try:
        excluded = Exclusions(sweep.exclude, _columns(sweep, arms))
    except ValueError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None
    places = list(islice(_places(sweep, arms, excluded), None if most is None else most + 1))
    if most is not None and len(places) > most:
        raise ConfigError(f"{path}: the grid has more than {most:,} trials; say --yes if that is meant")
    if unused := excluded.unused():
        raise ConfigError("\n".join(f"{path}: {line}" for line in unused))
    if not places:
        raise ConfigError(f"{path}: exclude: leaves no trial")
    return places


def _places(sweep: Sweep, arms: Sequence[_Arm], excluded: Exclusions) -> Iterator[Place]:
    """Every point that is not excluded, seeds innermost."""
    for arm in arms:
        for chosen in product(*(group.steps for group in arm.groups)):
            cell: dict[str, Any] = {} if arm.label is None else {ARM: arm.label}
            forms: dict[str, Hashable] = {column: form_of(label) for column, label in cell.items()}
            settings = dict(arm.settings)
            for step in chosen:
                cell |= step.cell
                forms |= step.forms
                settings |= step.settings
            for seed in sweep.seed_list:
                if not excluded(forms | {SEED: form_of(seed)}):
                    yield Place(cell=cell, seed=seed, settings=settings | {SEED: seed}, origins=arm.origins)


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One step of axes that run together: what the table shows, its forms (see `form_of`), and what is set."""

    cell: dict[str, Any]
    forms: dict[str, Hashable]
    settings: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Axes that run in step, and where the file says so."""

    steps: Sequence[_Step]
    origins: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class _Arm:
    """An arm with the groups of axes that it runs through; a grid without arms is one without a label."""

    label: str | None
    settings: Mapping[str, Any]
    groups: Sequence[_Group]
    origins: Mapping[str, str]


def _arms(sweep: Sweep, path: Path) -> list[_Arm]:
    shared = [({key: axis}, "axes") for key, axis in sweep.axes.items()]
    shared += [(axes, f"pairs.{index}") for index, axes in enumerate(sweep.pairs)]
    common = [_group(axes, where, path) for axes, where in shared]
    given: list[tuple[str | None, Arm]] = [*sweep.arms.items()] or [(None, Arm())]
    found = []
    for label, arm in given:
        own = [({key: axis}, f"arms.{label}.axes") for key, axis in arm.axes.items()]
        _check_keys([*shared, *own], arm, f"arms.{label}.settings", path)
        groups = [*common, *(_group(axes, where, path) for axes, where in own)]
        origins = dict.fromkeys(arm.settings, f"arms.{label}.settings")
        for group in groups:
            origins |= group.origins
        found.append(_Arm(label=label, settings=arm.settings, groups=groups, origins=origins))
    return found


def _check_keys(groups: Sequence[tuple[Mapping[str, Axis], str]], arm: Arm, settings: str, path: Path) -> None:
    """ConfigError where two columns have one name, or where what one place sets is replaced by another."""
    columns, places = set(RESERVED), {key: f"{where}.{key}" for axes, where in groups for key in axes}
    for axes, where in groups:
        for key, axis in axes.items():
            column, place = axis.label or key, f"{path}: {where}.{key}"
            if key == SEED:
                raise ConfigError(f"{place}: the seeds are said by the key seeds, at the top of the file")
            if column in columns:
                raise ConfigError(f"{place}: there is a column '{column}' already; give it another label")
            columns.add(column)
            if places[key] != f"{where}.{key}":
                raise ConfigError(f"{place}: is set by {places[key]} too")
            if key in arm.settings:
                raise ConfigError(f"{path}: {settings}.{key}: is set by {where}.{key} too")
            parts = key.split(".")
            for around in (".".join(parts[:depth]) for depth in range(1, len(parts))):
                if around in places:
                    raise ConfigError(f"{place}: lies within {places[around]}, which replaces it")
    if SEED in arm.settings:
        raise ConfigError(f"{path}: {settings}.{SEED}: the seeds are said by the key seeds, at the top of the file")


def _group(axes: Mapping[str, Axis], where: str, path: Path) -> _Group:
    values: dict[str, list[tuple[Any, Any]]] = {}
    for key, axis in axes.items():
        try:
            values[key] = axis_values(axis, key)
        except ValueError as error:
            raise ConfigError(f"{path}: {where}.{key}: {error}") from None
    sizes = {len(given) for given in values.values()}
    if len(sizes) != 1:
        counted = ", ".join(f"{key} {len(given)}" for key, given in values.items())
        raise ConfigError(f"{path}: {where}: paired axes should have equally many values, not {counted or 'none'}")
    steps = [_step(axes, dict(zip(values, row, strict=True))) for row in zip(*values.values(), strict=True)]
    seen: set[Hashable] = set()
    for step in steps:
        form = frozenset(step.forms.items())
        if form in seen:
            inside = f".{next(iter(axes))}" if where.endswith("axes") else ""
            stated = ", ".join(f"{column} {label}" for column, label in step.cell.items())
            raise ConfigError(f"{path}: {where}{inside}: stands twice: {stated}")
        seen.add(form)
    return _Group(steps=steps, origins=dict.fromkeys(axes, where))


def _step(axes: Mapping[str, Axis], row: Mapping[str, tuple[Any, Any]]) -> _Step:
    """What one row of values shows and sets. Labels that the file gives are what it calls the values by."""
    columns = {key: axes[key].label or key for key in row}
    return _Step(
        cell={columns[key]: label for key, (label, _) in row.items()},
        forms={
            columns[key]: form_of(label if isinstance(axes[key].values, Mapping) else value)
            for key, (label, value) in row.items()
        },
        settings={key: value for key, (_, value) in row.items()},
    )


def _columns(sweep: Sweep, arms: Sequence[_Arm]) -> dict[str, dict[Hashable, Any]]:
    """The labels that each column has, by the forms of what they stand for."""
    found: dict[str, dict[Hashable, Any]] = {
        ARM: {form_of(arm.label): arm.label for arm in arms if arm.label is not None},
        SEED: {form_of(seed): seed for seed in sweep.seed_list[:MAX_TRIALS]},
    }
    for group in {id(group): group for arm in arms for group in arm.groups}.values():
        for step in group.steps:
            for column, form in step.forms.items():
                found.setdefault(column, {})[form] = step.cell[column]
    return found

"""From a sweep file to its trials: a configuration, an identity, and a place in the grid each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice, product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nc_bench.config import Config, ConfigError, apply_override, config_hash, read_mapping
from nc_bench.config.problems import Problem, problems_of
from nc_bench.sweeps.axes import Axis, axis_values
from nc_bench.sweeps.schema import ARM, SEED, Arm, Sweep, read_sweep

MAX_TRIALS = 10_000
"""Points of the largest grid that needs no --yes."""

MAX_PROBLEMS = 10

Settings = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A place in the grid: what tables show of it, and the trial that is run there.

    Points whose configurations are equal (an arm that ignores an axis) share one trial.
    """

    cell: dict[str, Any]
    seed: int
    id: str
    config: Config


@dataclass(frozen=True, kw_only=True)
class Grid:
    """All points of a sweep, the base configuration they vary, and the columns of their cells."""

    name: str
    sweep: Sweep
    base: Config
    columns: tuple[str, ...]
    points: tuple[Point, ...]

    @property
    def trials(self) -> dict[str, Config]:
        """Every different trial once, by its identity."""
        return {point.id: point.config for point in self.points}


def load_grid(path: Path, overrides: Sequence[str] = (), *, any_size: bool = False) -> Grid:
    """Read a sweep file and expand it; `dotted.key=value` overrides change the base before anything varies.

    Raises ConfigError, one line per problem, for a file or a base that is wrong, an axis that names no field, values
    that a field does not take, and more than MAX_TRIALS points unless `any_size`.
    """
    sweep = read_sweep(path)
    settings = _base_settings(sweep, path, overrides)
    base = _checked(settings, str(path), {"settings": sweep.settings})
    places = list(islice(_places(sweep, path), None if any_size else MAX_TRIALS + 1))
    if len(places) > MAX_TRIALS and not any_size:
        raise ConfigError(f"{path}: the grid has more than {MAX_TRIALS:,} trials; say --yes if that is meant")
    if not places:
        raise ConfigError(f"{path}: exclude: leaves no trial")
    points: list[Point] = []
    problems: dict[str, None] = {}
    for place in places:
        try:
            config = Config.model_validate(with_settings(settings, place.settings))
        except ValidationError as error:
            problems |= dict.fromkeys(_explained(problem, place, str(path)) for problem in problems_of(error))
            if len(problems) >= MAX_PROBLEMS:
                break
            continue
        points.append(Point(cell=place.cell, seed=place.seed, id=trial_id(config), config=config))
    if problems:
        raise ConfigError("\n".join(problems))
    columns = tuple(dict.fromkeys(column for place in places for column in place.cell))
    return Grid(name=path.stem, sweep=sweep, base=base, columns=columns, points=tuple(points))


def trial_id(config: Config) -> str:
    """16 hexadecimal digits of the configuration's hash together with its number of epochs.

    Equal for trials that end with the same numbers: the hash leaves out device and folders, but a trial that is
    trained longer is another one.
    """
    return sha256(f"{config_hash(config)}:{config.training.epochs}".encode()).hexdigest()[:16]


def with_settings(settings: Settings, changes: Settings) -> dict[str, Any]:
    """Nested settings with dotted keys replaced; the given mapping stays as it is."""
    changed = dict(settings)
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = changed
        for part in parents:
            inner = section.get(part)
            section[part] = dict(inner) if isinstance(inner, Mapping) else {}
            section = section[part]
        section[last] = value
    return changed


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A point before its configuration is checked: what it sets, and where the file says so."""

    cell: dict[str, Any]
    seed: int
    settings: dict[str, Any]
    origins: dict[str, str]


def _base_settings(sweep: Sweep, path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    given = sweep.base if isinstance(sweep.base, dict) else read_mapping(path.parent / sweep.base)
    settings = with_settings(given, sweep.settings)
    for override in overrides:
        apply_override(settings, override)
    return settings


def _checked(settings: Settings, path: str, origins: Mapping[str, Settings]) -> Config:
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        keys = {key: place for place, given in origins.items() for key in given}
        lines = [f"{path}: {_origin(p.path, keys) or 'base'}: {p.path}: {p.text}" for p in problems_of(error)]
        raise ConfigError("\n".join(lines)) from None


def _places(sweep: Sweep, path: Path) -> Iterator[_Place]:
    """Every point that is not excluded, seeds innermost."""
    arms: list[tuple[str | None, Arm]] = [*sweep.arms.items()] or [(None, Arm())]
    excluded = _Exclusions(sweep, path)
    for label, arm in arms:
        steps = _steps(sweep, arm, f"arms.{label}", path)
        fixed = dict.fromkeys(arm.settings, f"arms.{label}.settings")
        origins = fixed | {key: where for group in steps for key, where in group.origins.items()}
        for chosen in product(*(group.steps for group in steps)):
            cell: dict[str, Any] = {} if label is None else {ARM: label}
            settings = dict(arm.settings)
            for columns, values in chosen:
                cell |= columns
                settings |= values
            for seed in sweep.seed_list:
                if not excluded(cell | {SEED: seed}):
                    yield _Place(cell=cell, seed=seed, settings=settings | {SEED: seed}, origins=origins)


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Axes that run in step: at every step what the table shows and what is set; and where the file says so."""

    steps: list[tuple[dict[str, Any], dict[str, Any]]]
    origins: dict[str, str]


def _steps(sweep: Sweep, arm: Arm, place: str, path: Path) -> list[_Group]:
    groups = [({key: axis}, "axes") for key, axis in sweep.axes.items()]
    groups += [(axes, f"pairs.{index}") for index, axes in enumerate(sweep.pairs)]
    groups += [({key: axis}, f"{place}.axes") for key, axis in arm.axes.items()]
    columns: set[str] = {ARM, SEED}
    for axes, where in groups:
        for key, axis in axes.items():
            column = axis.label or key
            if column in columns:
                raise ConfigError(f"{path}: {where}.{key}: there is a column '{column}' already; give it another label")
            columns.add(column)
    return [_group(axes, where, path) for axes, where in groups]


def _group(axes: Mapping[str, Axis], where: str, path: Path) -> _Group:
    values = {key: axis_values(axis, key) for key, axis in axes.items()}
    sizes = {len(given) for given in values.values()}
    if len(sizes) != 1:
        counted = ", ".join(f"{key} {len(given)}" for key, given in values.items())
        raise ConfigError(f"{path}: {where}: paired axes should have equally many values, not {counted or 'none'}")
    steps = []
    for index in range(sizes.pop()):
        at = {key: list(given.items())[index] for key, given in values.items()}
        cell = {axes[key].label or key: shown for key, (shown, _) in at.items()}
        steps.append((cell, {key: value for key, (_, value) in at.items()}))
    return _Group(steps=steps, origins=dict.fromkeys(axes, where))


class _Exclusions:
    """Whether a point is left out."""

    def __init__(self, sweep: Sweep, path: Path) -> None:
        self.rules = [
            {column: value if isinstance(value, list | tuple) else [value] for column, value in rule.items()}
            for rule in sweep.exclude
        ]
        axes = [sweep.axes, *sweep.pairs, *(arm.axes for arm in sweep.arms.values())]
        known = {ARM, SEED} | {axis.label or key for group in axes for key, axis in group.items()}
        for index, rule in enumerate(self.rules):
            for column in rule:
                if column not in known:
                    named = ", ".join(sorted(known))
                    raise ConfigError(f"{path}: exclude.{index}.{column}: names no column; there are {named}")

    def __call__(self, cell: Mapping[str, Any]) -> bool:
        return any(all(cell.get(column) in values for column, values in rule.items()) for rule in self.rules)


def _explained(problem: Problem, place: _Place, path: str) -> str:
    where = _origin(problem.path, place.origins)
    if where is None:
        labels = ", ".join(f"{column}: {value}" for column, value in place.cell.items())
        return f"{path}: {problem.path}: {problem.text} (at {labels})"
    if problem.text.startswith("unknown key"):
        return f"{path}: {where}.{problem.path}: names no field of a configuration: {problem.text}"
    return f"{path}: {where}.{problem.path}: {problem.text}"


def _origin(path: str, origins: Mapping[str, str]) -> str | None:
    """Where the file sets the value at this path, or something inside or around it."""
    around = [key for key in origins if path == key or path.startswith(f"{key}.") or key.startswith(f"{path}.")]
    return origins[max(around, key=len)] if around else None

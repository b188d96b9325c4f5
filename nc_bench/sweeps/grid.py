"""From a sweep file to its trials: a configuration, an identity, and a place in the grid each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nc_bench.config import Config, ConfigError, config_hash, find_config, read_mapping, with_overrides
from nc_bench.config.problems import Problem, problems_of
from nc_bench.sweeps.places import MAX_TRIALS, Place, all_places
from nc_bench.sweeps.schema import SEED, Sweep, read_sweep
from nc_bench.sweeps.study import Study
from nc_bench.sweeps.usual_study import completed
from nc_bench.verdicts.twin import stretched

MAX_PROBLEMS = 10

Settings = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A place in the grid: what tables show of it, and the trial that is run there.

    Points whose configurations are equal (an arm that ignores an axis) share one trial. twin: the trial that is trained
    `settled` times as long to see whether this one is at rest, and its configuration.
    """

    cell: dict[str, Any]
    seed: int
    id: str
    config: Config
    twin: tuple[str, Config] | None = None


@dataclass(frozen=True, kw_only=True)
class Grid:
    """All points of a sweep, the base configuration they vary, and the columns of their cells.

    study: what the file says of tables, figure and question, and what is usual where it says nothing.
    """

    sweep: Sweep
    study: Study
    base: Config
    columns: tuple[str, ...]
    points: tuple[Point, ...]

    @property
    def trials(self) -> dict[str, Config]:
        """Every different trial once, by its identity; twins come last."""
        twins = dict(point.twin for point in self.points if point.twin is not None)
        return {point.id: point.config for point in self.points} | twins


def load_grid(path: Path, overrides: Sequence[str] = (), *, any_size: bool = False) -> Grid:
    """Read a sweep file and expand it; `dotted.key=value` overrides change the base before anything varies.

    Raises ConfigError, one line per problem, for a file or a base that is wrong, an axis that names no field, values
    that a field does not take, and more than MAX_TRIALS points unless `any_size`.
    """
    sweep = read_sweep(path)
    settings = _base_settings(sweep, path, overrides)
    base = _checked(settings, str(path), {"settings": sweep.settings})
    places = all_places(sweep, path, None if any_size else MAX_TRIALS)
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
        twin = None
        if sweep.settled is not None and place.seed in sweep.seeds_with_twins:
            longer = stretched(config, sweep.settled)
            twin = (trial_id(longer, base), longer)
        points.append(Point(cell=place.cell, seed=place.seed, id=trial_id(config, base), config=config, twin=twin))
    if problems:
        raise ConfigError("\n".join(problems))
    columns = tuple(dict.fromkeys(column for place in places for column in place.cell))
    study = completed(sweep.study, columns, [place.cell for place in places])
    return Grid(sweep=sweep, study=study, base=base, columns=columns, points=tuple(points))


def trial_id(config: Config, base: Config) -> str:
    """16 hexadecimal digits of the configuration's hash together with its number of epochs.

    Equal for trials that end with the same numbers: the hash leaves out device and folders, but a trial that is
    trained longer is another one, and so is one on data in another folder than the `base` of its sweep.
    """
    root, usual = data_root(config), data_root(base)
    elsewhere = "" if root in (None, usual) else f":{root}"
    return sha256(f"{config_hash(config)}:{config.training.epochs}{elsewhere}".encode()).hexdigest()[:16]


def data_root(config: Config) -> str | None:
    """The folder that the data are in, without links; None where they are in none."""
    root = getattr(config.data, "root", None)
    return None if root is None else os.path.realpath(os.path.expanduser(root))


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


def _base_file(path: Path, base: str) -> Path:
    """The file beside the sweep's, or a shipped configuration."""
    file = path.parent / base
    return file if file.exists() or "." in base else find_config(base)


def _base_settings(sweep: Sweep, path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    given = sweep.base if isinstance(sweep.base, dict) else read_mapping(_base_file(path, sweep.base))
    if SEED in sweep.settings:
        raise ConfigError(f"{path}: settings.{SEED}: the seeds are said by the key seeds, at the top of the file")
    settings = with_settings(given, sweep.settings)
    for override in overrides:
        if override.partition("=")[0].strip() == SEED:
            raise ConfigError(f"command line: '{override}': the seeds are said by the key seeds of {path}")
    return with_overrides(settings, overrides)


def _checked(settings: Settings, path: str, origins: Mapping[str, Settings]) -> Config:
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        keys = {key: place for place, given in origins.items() for key in given}
        lines = [f"{path}: {_origin(p.path, keys) or 'base'}: {p.path}: {p.text}" for p in problems_of(error)]
        raise ConfigError("\n".join(lines)) from None


def _explained(problem: Problem, place: Place, path: str) -> str:
    section, _, key = problem.path.rpartition(".")
    where = _origin(problem.path, place.origins)
    if (name := place.settings.get(f"{section}.name")) is not None and problem.text.startswith("unknown key for name"):
        named = f"{place.origins[f'{section}.name']}.{section}.name"
        instead = f"replace the whole section by {section}: {{name: {name}, ...}}"
        return f"{path}: {named}: {name} has no {key}, as the base has; {instead}"
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

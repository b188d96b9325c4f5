"""The keys of a sweep file. YAML in, frozen models out, problems named by their dotted path in the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationError, model_validator

from nc_bench.config import ConfigError, read_mapping
from nc_bench.config.base import Section
from nc_bench.config.problems import dotted_keys, problems_of
from nc_bench.config.schema import schema_of
from nc_bench.config.values import Count, Seed
from nc_bench.sweeps.axes import Axis
from nc_bench.sweeps.comparison import DIFFERENCES, STATISTICS
from nc_bench.sweeps.study import Study
from nc_bench.text import shown

ARM, SEED = "arm", "seed"
RESERVED = frozenset({ARM, SEED, "epoch", "measure", "rest", "state", "trial", *STATISTICS, *DIFFERENCES})
"""Columns that tables have anyway; no axis and no measure may have these names."""


def _listed_or_counted(value: Any) -> str:
    return "seed list" if isinstance(value, list | tuple) else "seed count"


def _names_of_arms(given: Any) -> Any:
    """Let 2012 be the name of an arm, which YAML reads as a number."""
    if not isinstance(given, dict):
        return given
    named: dict[str, Any] = {}
    for name, arm in given.items():
        if name is None or isinstance(name, bool):
            raise ValueError(f"{shown(name)} is the name of an arm; write it in quotes")
        if str(name) in named:
            raise ValueError(f"two arms are called {name}")
        named[str(name)] = arm
    return named


class Arm(Section):
    """One of several ways to be compared: settings that belong together, and axes of its own."""

    settings: dict[str, Any] = Field(
        default={}, description="Dotted keys and their values; a mapping replaces the whole section."
    )
    axes: dict[str, Axis] = Field(default={}, description="Axes that only this arm has.")


class Sweep(Section):
    """A grid of runs around a base configuration, and what is asked of them."""

    base: str | dict[str, Any] = Field(
        description="The base configuration: a path relative to this file, the name of a shipped one, or the "
        "configuration itself."
    )
    settings: dict[str, Any] = Field(
        default={}, description="What all trials have in place of the base's: dotted keys and their values."
    )
    arms: Annotated[dict[str, Arm], BeforeValidator(_names_of_arms)] = Field(
        default={}, description="Arms to compare, by the label that tables show."
    )
    axes: dict[str, Axis] = Field(default={}, description="Axes by dotted key; the grid is their product.")
    pairs: tuple[dict[str, Axis], ...] = Field(
        default=(), description="Groups of axes that run in step: the first values together, the second together, ..."
    )
    exclude: tuple[dict[str, Any], ...] = Field(
        default=(),
        description="What is left out: points where every column named has the value, or one of the values, given.",
    )
    seeds: Annotated[
        Annotated[Count, Tag("seed count")] | Annotated[tuple[Seed, ...], Tag("seed list")],
        Discriminator(_listed_or_counted),
    ] = Field(default=1, description="How many seeds, counted from 0, or a list of them.")
    settled: Count | None = Field(
        default=None,
        description="n, 2 or more (3 as a rule): every trial gets a twin that trains n times as long with its schedule "
        "stretched, by which it is told whether the trial is at rest; null: none.",
    )
    settled_seeds: Count | None = Field(
        default=None, description="How many of the seeds, the first ones, have a twin; null: all of them."
    )
    study: Study | None = Field(default=None, description="The question, and how it is answered from the runs.")

    @model_validator(mode="after")
    def _consistent(self) -> Sweep:
        if isinstance(self.seeds, tuple) and len(set(self.seeds)) != max(len(self.seeds), 1):
            raise ValueError("seeds: should be distinct, and at least one")
        if self.settled == 1:
            raise ValueError("settled: 1 given, should be 2 or more times as long")
        if self.settled_seeds is not None and self.settled is None:
            raise ValueError("settled_seeds: needs settled")
        return self

    @property
    def seeds_with_twins(self) -> Sequence[int]:
        return self.seed_list[: self.settled_seeds] if self.settled is not None else ()

    @property
    def seed_list(self) -> Sequence[int]:
        return self.seeds if isinstance(self.seeds, tuple) else range(self.seeds)


def sweep_schema() -> dict[str, Any]:
    """The JSON Schema of a sweep file, with the dotted keys of configurations where settings and axes go."""
    schema = schema_of(Sweep)
    keys = dict(dotted_keys())
    settings = {key: {"description": meaning} for key, meaning in keys.items()}
    axes = {key: {"$ref": "#/$defs/Axis", "description": meaning} for key, meaning in keys.items()}
    for section in (schema, schema["$defs"]["Arm"]):
        section["properties"]["settings"]["properties"] = settings
        section["properties"]["axes"]["properties"] = axes
    schema["properties"]["extends"] = {
        "type": "string",
        "description": "Another sweep file in the same folder, of which this one has everything that it does not say.",
    }
    del schema["required"]
    schema["anyOf"] = [{"required": ["base"]}, {"required": ["extends"]}]
    return schema


def read_sweep(path: Path) -> Sweep:
    """The sweep file at `path`, checked for what can be checked without its base configuration.

    `extends: FILE` takes over everything of another sweep file in the same folder, except what is said here again;
    of `settings` and `study` key by key. Raises ConfigError, one `file: dotted.path: problem` a line.
    """
    given = _extended(path, ())
    try:
        return Sweep.model_validate(given)
    except ValidationError as error:
        lines = dict.fromkeys(f"{path}: {problem.path}: {problem.text}" for problem in problems_of(error, Sweep))
        raise ConfigError("\n".join(lines)) from None


def _extended(path: Path, below: tuple[Path, ...]) -> dict[str, Any]:
    """The mapping in a sweep file over that of the file that it extends; `below`: the files that extend this one."""
    given = read_mapping(path)
    if "extends" not in given:
        return given
    name, chain = given.pop("extends"), (*below, path.resolve())
    if not isinstance(name, str) or name != Path(name).name:
        raise ConfigError(f"{path}: extends: {shown(name)} given, should be the name of a file in the same folder")
    if (path.parent / name).resolve() in chain:
        raise ConfigError(f"{path}: extends: {name} extends this file in turn")
    parent = _extended(path.parent / name, chain)
    merged = {**parent, **given}
    for section in ("settings", "study"):
        if isinstance(parent.get(section), dict) and isinstance(given.get(section), dict):
            merged[section] = {**parent[section], **given[section]}
    return merged

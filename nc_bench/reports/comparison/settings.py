"""What differs between the configurations of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nc_bench.config import flatten
from nc_bench.reports.description import typed_config
from nc_bench.runs import RunTables
from nc_bench.text import shown

ABSENT = "–"
"""Stands for a setting that a run's model, optimizer or data set does not have."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One key and its value in every run, as text."""

    key: str
    values: tuple[str, ...]


def differing_settings(runs: Sequence[RunTables]) -> list[Setting]:
    """The settings in which the runs differ, defaults included, in the order of the configuration.

    After them what else makes runs different: the digest of the data, and the versions of nc_bench and torch.
    RunError, one line, for a configuration of another version of the software.
    """
    return _differing([flatten(typed_config(run)) for run in runs]) + _differing([_facts(run) for run in runs])


def _facts(run: RunTables) -> dict[str, Any]:
    versions, digest = run.manifest.get("versions", {}), run.manifest.get("data_digest")
    facts = {"data, digest": digest[:16]} if digest else {}
    return facts | {f"version of {name}": versions[name] for name in ("nc_bench", "torch") if name in versions}


def _differing(each: Sequence[Mapping[str, Any]]) -> list[Setting]:
    keys = list(dict.fromkeys(key for own in each for key in own))
    told = [key for key in keys if len({_form(own, key) for own in each}) > 1 and not _says_nothing(each, key, keys)]
    return [Setting(key=key, values=tuple(shown(own[key]) if key in own else ABSENT for own in each)) for key in told]


def _says_nothing(each: Sequence[Mapping[str, Any]], key: str, keys: Sequence[str]) -> bool:
    """A section that a run does not have is said by its keys, and null by those who have a key at all."""
    is_section = any(other.startswith(f"{key}.") for other in keys)
    return is_section or {own.get(key) for own in each} == {None}


def _form(own: Mapping[str, Any], key: str) -> tuple[str, Any]:
    """0 and False are two values, and a setting that is absent is none."""
    return ("", None) if key not in own else (type(own[key]).__name__, own[key])

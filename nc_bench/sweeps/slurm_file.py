"""What a --slurm file says: how many jobs, and what each asks Slurm for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from nc_bench.config import ConfigError, read_mapping
from nc_bench.config.base import Section
from nc_bench.config.problems import problems_of
from nc_bench.config.values import Count

WALLTIME = re.compile(r"(\d+-\d{1,2}(:\d{1,2}){0,2}|\d+:\d{1,2}:\d{1,2})")
"""Of the forms that Slurm takes those that say what their numbers are: 30 alone would be minutes."""


def _amount(value: Any) -> Any:
    from dask.utils import parse_bytes  # Here, so that the schema needs no Dask.

    problem = "should be a number with a unit, such as 8GB"
    if value is not None and not isinstance(value, str):
        raise ValueError(problem)
    try:
        parse_bytes(value or "1GB")
    except ValueError:
        raise ValueError(problem) from None
    return value


def _time(value: Any) -> Any:
    if not isinstance(value, str) or not WALLTIME.fullmatch(value):
        raise ValueError("should be hours:minutes:seconds, such as 12:00:00, or days-hours:minutes:seconds")
    return value


class Slurm(Section):
    """What a --slurm file says."""

    jobs: Count = Field(description="Slurm jobs, one worker each.")
    cores: Count = Field(description="Cores of a job; its worker computes with as many threads.")
    memory: Annotated[str | None, BeforeValidator(_amount)] = Field(
        default=None,
        description="Memory of a job, such as 8GB; null: none is asked for, as on clusters that refuse --mem.",
    )
    walltime: Annotated[str, BeforeValidator(_time)] = Field(
        default="04:00:00", description="Longest time of a job, hours:minutes:seconds or days-hours:minutes:seconds."
    )
    partition: str | None = Field(default=None, description="Slurm partition.")
    account: str | None = Field(default=None, description="Slurm account.")
    directives: tuple[str, ...] = Field(default=(), description="Further #SBATCH lines, such as --gres=gpu:1.")
    prologue: tuple[str, ...] = Field(default=(), description="Shell lines before the worker starts.")
    interface: str | None = Field(default=None, description="Network interface of scheduler and workers, such as ib0.")


def read_slurm(path: Path) -> Slurm:
    """The file, checked; ConfigError, one `file: key: problem` a line, if it says something else."""
    try:
        return Slurm.model_validate(read_mapping(path, times=True))
    except ValidationError as error:
        lines = [f"{path}: {problem.path}: {problem.text}" for problem in problems_of(error, Slurm)]
        raise ConfigError("\n".join(lines)) from None

"""One axis of a grid: the values that a setting runs through."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator

from nc_bench.config.base import Section
from nc_bench.config.values import Count, NonNegativeInteger
from nc_bench.rng import Stream, generator

DIGITS = 6
"""Significant digits of the numbers of a range or of draws: they read well, and hash the same on any machine."""

EXPONENTIAL = re.compile(r"[-+]?[0-9]+\.?[0-9]*[eE][-+]?[0-9]+")
"""A number that YAML reads as text."""


class Axis(Section):
    """Listed values, an even range, or random draws. In a sweep file a bare list stands for `values`."""

    values: Any = Field(
        default=None, description="The values, or a mapping from the label that tables show to the value."
    )
    low: float | None = Field(default=None, description="Lower end of a range or of draws.")
    high: float | None = Field(default=None, description="Upper end of a range or of draws.")
    count: Count | None = Field(default=None, description="Number of evenly spaced values from low to high, both in.")
    draws: Count | None = Field(default=None, description="Number of random values between low and high.")
    spacing: Literal["linear", "log"] = Field(default="linear", description="log: even in the logarithm.")
    seed: NonNegativeInteger = Field(default=0, description="Seed of the draws, which also depend on the axis's name.")
    label: str | None = Field(
        default=None, min_length=1, description="Column of the tables; the dotted key if it is not given."
    )

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        return {"values": given} if isinstance(given, list | tuple) else given

    @model_validator(mode="after")
    def _consistent(self) -> Axis:
        ways = [name for name in ("values", "count", "draws") if getattr(self, name) is not None]
        if len(ways) != 1:
            raise ValueError(f"needs one of values, count and draws, not {' and '.join(ways) or 'none'}")
        if self.values is not None and not (isinstance(self.values, list | tuple | dict) and self.values):
            raise ValueError("values should be a list, or a mapping of labels to values, with at least one of them")
        if self.values is None:
            _check_ends(self.low, self.high, self.spacing)
        elif self.low is not None or self.high is not None:
            raise ValueError("low and high belong to count or draws, not to values")
        return self


def axis_values(axis: Axis, key: str) -> dict[Any, Any]:
    """The values of the axis of this dotted key, in their order, by the label that tables show.

    Draws are a function of (seed, key) alone: more draws extend fewer, and two axes draw independently.
    """
    if isinstance(axis.values, Mapping):
        return {_shown(label): value for label, value in axis.values.items()}
    if axis.values is not None:
        return {_shown(value): value for value in axis.values}
    assert axis.low is not None and axis.high is not None
    if axis.count is not None:
        places = np.linspace(0.0, 1.0, axis.count)
    else:
        assert axis.draws is not None
        random = generator(axis.seed, Stream.SWEEP, zlib.crc32(key.encode()))
        places = torch.rand(axis.draws, generator=random, dtype=torch.float64).numpy()
    if axis.spacing == "log":
        numbers = np.exp(np.log(axis.low) + places * np.log(axis.high / axis.low))
    else:
        numbers = axis.low + places * (axis.high - axis.low)
    return {value: value for value in (_rounded(float(number)) for number in numbers)}


def _check_ends(low: float | None, high: float | None, spacing: str) -> None:
    if low is None or high is None:
        raise ValueError("count and draws need low and high")
    if low >= high:
        raise ValueError(f"low ({low:g}) should be below high ({high:g})")
    if spacing == "log" and low <= 0:
        raise ValueError(f"low ({low:g}) should be positive for spacing: log")


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def _shown(value: Any) -> Any:
    """A value as a table shows it: itself if it is one number, text or flag, else as text. `1e-3` is a number."""
    if isinstance(value, str) and EXPONENTIAL.fullmatch(value):
        return float(value)
    if isinstance(value, str | int | float | bool) or value is None:
        return "none" if value is None else value
    return str(value)

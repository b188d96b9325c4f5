"""One axis of a grid: the values that a setting runs through."""

from __future__ import annotations

import math
import zlib
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from nc_bench.config.base import Section
from nc_bench.config.values import Count, Number, Seed
from nc_bench.sweeps.labels import form_of, label_of

DIGITS = 6
"""Significant digits of the numbers of a range or of draws: they read well, and hash the same on any machine."""

MAX_VALUES = 1_000_000

CHUNK, MAX_MISSED = 1024, 10_000
"""Numbers that are drawn at once; draws in a row that give no new number, after which there are taken to be none."""


class Axis(Section):
    """Listed values, an even range, or random draws. In a sweep file a bare list stands for `values`."""

    values: Any = Field(
        default=None, description="The values, or a mapping from the label that tables show to the value."
    )
    low: Number | None = Field(default=None, description="Lower end of a range or of draws.")
    high: Number | None = Field(default=None, description="Upper end of a range or of draws.")
    count: Count | None = Field(default=None, description="Number of evenly spaced values from low to high, both in.")
    draws: Count | None = Field(default=None, description="Number of different random values between low and high.")
    spacing: Literal["linear", "log"] = Field(default="linear", description="log: even in the logarithm.")
    seed: Seed = Field(default=0, description="Seed of the draws, which also depend on the axis's name.")
    label: str | None = Field(
        default=None, min_length=1, description="Column of the tables; the dotted key if it is not given."
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler(core_schema)
        mapping = handler.resolve_ref_schema(found)
        written = dict(mapping)
        mapping.clear()
        mapping["anyOf"] = [{"type": "array", "minItems": 1}, written]
        return found

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
            if (self.count or self.draws or 0) > MAX_VALUES:
                raise ValueError(f"should have at most {MAX_VALUES:,} values")
        elif self.low is not None or self.high is not None:
            raise ValueError("low and high belong to count or draws, not to values")
        return self


def axis_values(axis: Axis, key: str) -> list[tuple[Any, Any]]:
    """The values of the axis of this dotted key, in their order as written, each after the label that tables show.

    Draws are a function of (seed, key) alone: more draws extend fewer, and two axes draw independently. A number that
    was drawn before is drawn again. ValueError where two values would have one label, and where a range has fewer
    numbers of DIGITS digits than are asked for.
    """
    if axis.values is not None:
        items = axis.values.items() if isinstance(axis.values, Mapping) else ((value, value) for value in axis.values)
        listed = [(label_of(label), value) for label, value in items]
        _check_labels(listed)
        return listed
    numbers = _even(axis) if axis.count is not None else _drawn(axis, key)
    return [(number, number) for number in numbers]


def _check_labels(listed: list[tuple[Any, Any]]) -> None:
    """Two values of one label would be one row of a table. The same value twice is refused by who asks for a grid."""
    held: dict[Hashable, Hashable] = {}
    for label, value in listed:
        form = form_of(value)
        for written in (form_of(label), ("text", str(label))):
            if held.setdefault(written, form) != form:
                raise ValueError(f"two values have the label {label}; give every value a label of its own")


def _even(axis: Axis) -> list[float]:
    assert axis.count is not None
    numbers = [_between(axis, place) for place in np.linspace(0.0, 1.0, axis.count)]
    different = len(set(numbers))
    if different < axis.count:
        raise ValueError(f"count: {axis.count} asked for, but there are {different} different ones of {DIGITS} digits")
    return numbers


def _drawn(axis: Axis, key: str) -> list[float]:
    assert axis.draws is not None
    found: dict[float, None] = {}
    places, missed = _places(axis.seed, key), 0
    while len(found) < axis.draws:
        before = len(found)
        found[_between(axis, next(places))] = None
        missed = 0 if len(found) > before else missed + 1
        if missed > MAX_MISSED:
            raise ValueError(f"draws: {axis.draws} asked for, but few different numbers of {DIGITS} digits are there")
    return list(found)


def _places(seed: int, key: str) -> Iterator[float]:
    """Uniform numbers in [0, 1) without end."""
    # torch takes seconds to import, and only draws need it.
    import torch

    from nc_bench.rng import Stream, generator

    random = generator(seed, Stream.SWEEP, zlib.crc32(key.encode()))
    while True:
        yield from torch.rand(CHUNK, generator=random, dtype=torch.float64).tolist()


def _between(axis: Axis, place: float) -> float:
    """The number at a place from 0 (low) to 1 (high), of DIGITS digits."""
    assert axis.low is not None and axis.high is not None
    if axis.spacing == "log":
        number = np.exp(np.log(axis.low) + place * np.log(axis.high / axis.low))
    else:
        number = axis.low + place * (axis.high - axis.low)
    return float(f"{number:.{DIGITS}g}")


def _check_ends(low: Number | None, high: Number | None, spacing: str) -> None:
    if low is None or high is None:
        raise ValueError("count and draws need low and high")
    if low >= high:
        raise ValueError(f"low ({low:g}) should be below high ({high:g})")
    if spacing == "log" and low <= 0:
        raise ValueError(f"low ({low:g}) should be positive for spacing: log")
    if not math.isfinite(high - low) or (spacing == "log" and not math.isfinite(high / low)):
        raise ValueError(f"low ({low:g}) and high ({high:g}) are too far apart")

"""The kinds of value that a configuration holds: numbers, counts, flags, and lists of them.

Numbers may be written as text, because YAML reads `1e-3` as text; truth values are never numbers.
"""

import re
import unicodedata
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

Ordered = TypeVar("Ordered", int, float)


MOST, MOST_SEED = 10**9, 2**63 - 1
"""Largest count of anything, and largest seed: beyond them libraries overflow, and no machine gets there."""

DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]*)\.?|[0-9]*\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?")
"""Text that is a number: no 010, 1_000, inf or nan, which Python reads as numbers too."""


def number_in(text: str) -> int | float | None:
    """The number that a text stands for, as every field of a configuration reads it; None if it is none.

    `1e3` is 1000.0 and `7` is 7.
    """
    plain = text.strip()
    if not DECIMAL.fullmatch(plain):
        return None
    return int(plain) if plain.lstrip("+-").isdigit() else float(plain)


def _number(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, str) and number_in(value) is None):
        raise ValueError("should be a number")
    return value


def _integer(value: Any) -> Any:
    """Let `1e3`, which YAML reads as text, stand for 1000; everything else is left to pydantic."""
    read = number_in(value) if isinstance(value, str) else value
    if isinstance(value, bool) or (read is None and value is not None):
        raise ValueError("should be a whole number")
    return int(read) if isinstance(read, float) and read.is_integer() else read


def _printable(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("should hold no control characters")
    return text


def _strictly_increasing(values: tuple[Ordered, ...]) -> tuple[Ordered, ...]:
    if any(first >= second for first, second in pairwise(values)):
        raise ValueError("should be strictly increasing")
    return values


def _number_or_name(value: Any) -> str:
    return "name" if isinstance(value, str) and number_in(value) is None else "number"


def _distinct_classes(values: tuple[int | str, ...]) -> tuple[int | str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("should not list a class twice")
    return values


def _listed_or_named(value: Any) -> str:
    return "listed" if isinstance(value, list | tuple) else "named"


def _named_epochs(value: Any) -> Any:
    if value not in ("epoch", "log"):
        raise ValueError("should be epoch, log or a list of epochs")
    return value


def _all_layers(value: Any) -> Any:
    if value != "all":
        raise ValueError("should be all or a list of layers")
    return value


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("should not repeat a name")
    return names


def _flag_or_listed(value: Any) -> str:
    return "listed" if isinstance(value, list | tuple) else "flag"


# The bound comes first: what stands after a validator is not seen by the JSON Schema.
Number = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[float, Field(gt=0), BeforeValidator(_number)]
NonNegative = Annotated[float, Field(ge=0), BeforeValidator(_number)]
Temperature = Annotated[float, Field(ge=1e-6, le=1e6), BeforeValidator(_number)]
Exponent = Annotated[float, Field(ge=1, allow_inf_nan=True), BeforeValidator(_number)]
AtLeastOne = Annotated[float, Field(ge=1), BeforeValidator(_number)]
Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(_number)]
ZeroToOne = Annotated[float, Field(ge=0, lt=1), BeforeValidator(_number)]
Fraction = Annotated[float, Field(gt=0, lt=1), BeforeValidator(_number)]
Count = Annotated[int, Field(ge=1, le=MOST), BeforeValidator(_integer)]
NonNegativeInteger = Annotated[int, Field(ge=0, le=MOST), BeforeValidator(_integer)]
SmallCount = Annotated[int, Field(ge=1, le=10_000), BeforeValidator(_integer)]
SmallInteger = Annotated[int, Field(ge=0, le=1000), BeforeValidator(_integer)]
ClassNumber = Annotated[int, Field(ge=2, le=10**6), BeforeValidator(_integer)]
Width = Annotated[int, Field(ge=1, le=10**6), BeforeValidator(_integer)]
Seed = Annotated[int, Field(ge=0, le=MOST_SEED), BeforeValidator(_integer)]
ImageSide = Annotated[int, Field(ge=1, le=2**14), BeforeValidator(_integer)]
Padding = Annotated[int, Field(ge=0, le=2**14), BeforeValidator(_integer)]
Gigabytes = Annotated[float, Field(gt=0, le=10**6), BeforeValidator(_number)]
PathText = Annotated[str, Field(min_length=1), AfterValidator(_printable)]
ClassNames = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=2)]
Flag = Annotated[bool, Field(strict=True)]
ClassCounts = Annotated[tuple[Count, ...], Field(min_length=2)]
KeptClass = Annotated[
    Annotated[NonNegativeInteger, Tag("number")] | Annotated[str, Field(min_length=1), Tag("name")],
    Discriminator(_number_or_name),
]
KeptClasses = Annotated[tuple[KeptClass, ...], Field(min_length=2), AfterValidator(_distinct_classes)]
ClassWeights = Annotated[tuple[Positive, ...], Field(min_length=2)]
Milestones = Annotated[tuple[Fraction, ...], Field(min_length=1), AfterValidator(_strictly_increasing)]
Epochs = Annotated[tuple[NonNegativeInteger, ...], Field(min_length=1), AfterValidator(_strictly_increasing)]
RecordedEpochs = Annotated[
    Annotated[Literal["epoch", "log"], BeforeValidator(_named_epochs), Tag("named")] | Annotated[Epochs, Tag("listed")],
    Discriminator(_listed_or_named),
]
LayerNames = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1), AfterValidator(_distinct)]
RecordedLayers = Annotated[
    Annotated[Literal["all"], BeforeValidator(_all_layers), Tag("named")] | Annotated[LayerNames, Tag("listed")],
    Discriminator(_listed_or_named),
]
SplitNames = Annotated[tuple[Literal["train", "test"], ...], Field(min_length=1), AfterValidator(_distinct)]
ClassQuantity = Literal["accuracy", "cosine", "mean_norm", "risk", "variance", "weight_norm"]
ClassColumns = Annotated[tuple[ClassQuantity, ...], AfterValidator(_distinct)]
LoggerNames = Annotated[tuple[Literal["csv", "tensorboard", "wandb", "mlflow"], ...], AfterValidator(_distinct)]
KeptFeatures = Annotated[
    Annotated[Flag, Tag("flag")] | Annotated[SplitNames, Tag("listed")], Discriminator(_flag_or_listed)
]

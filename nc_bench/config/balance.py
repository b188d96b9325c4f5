"""How large the training classes are, one against the other."""

from typing import Literal

from pydantic import Field

from nc_bench.config.base import Section
from nc_bench.config.values import AtLeastOne, ClassCounts, Count


class FullBalance(Section):
    """Every class keeps all its training samples."""

    name: Literal["full"] = Field(description="Every class keeps all its samples.")


class StepBalance(Section):
    """Two sizes of class."""

    name: Literal["step"] = Field(
        description="With n the size of the smallest class: the last classes, the minority, keep n / ratio samples, "
        "the others n."
    )
    ratio: AtLeastOne = Field(description="Size of a majority class over that of a minority class.")
    minority_classes: Count = Field(description="How many classes, counted from the last, are the minority.")


class ExponentialBalance(Section):
    """Sizes that fall geometrically from the first class to the last."""

    name: Literal["exponential"] = Field(
        description="With n the size of the smallest class: class k of K keeps n ratio^(-k/(K-1)) samples."
    )
    ratio: AtLeastOne = Field(description="Size of the first class over that of the last.")


class CountedBalance(Section):
    """Sizes that are stated."""

    name: Literal["counts"] = Field(description="Stated class sizes.")
    counts: ClassCounts = Field(description="Training samples of every class, in the order of the classes.")


Balance = FullBalance | StepBalance | ExponentialBalance | CountedBalance

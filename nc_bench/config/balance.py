"""How large the training classes are, one against the other."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from nc_bench.config.base import Section
from nc_bench.config.values import AtLeastOne, ClassCounts, Count


class _Balance(Section):
    @abstractmethod
    def sizes(self, counts: Sequence[int]) -> tuple[int, ...]:
        """Training samples of every class, given how many there are; fractions are rounded to the nearest integer."""

    @abstractmethod
    def sentence(self) -> str:
        """The sizes in a caption, empty if all samples are kept."""

    def problem(self, classes: int) -> str:
        """Why it does not fit data of so many classes, `key: problem`; empty if it does."""
        return ""


class FullBalance(_Balance):
    """Every class keeps all its training samples."""

    name: Literal["full"] = Field(description="Every class keeps all its samples.")

    def sizes(self, counts: Sequence[int]) -> tuple[int, ...]:
        return tuple(counts)

    def sentence(self) -> str:
        return ""


class StepBalance(_Balance):
    """Two sizes of class."""

    name: Literal["step"] = Field(
        description="With n the size of the smallest class: the last classes, the minority, keep n / ratio samples, "
        "the others n."
    )
    ratio: AtLeastOne = Field(description="Size of a majority class over that of a minority class.")
    minority_classes: Count = Field(description="How many classes, counted from the last, are the minority.")

    def sizes(self, counts: Sequence[int]) -> tuple[int, ...]:
        smallest, majority = min(counts), len(counts) - self.minority_classes
        return (smallest,) * majority + (round(smallest / self.ratio),) * self.minority_classes

    def sentence(self) -> str:
        return f"{self.minority_classes} minority classes {self.ratio:g} times smaller"

    def problem(self, classes: int) -> str:
        if self.minority_classes < classes:
            return ""
        return f"minority_classes: {self.minority_classes} of {classes} classes leave no majority"


class ExponentialBalance(_Balance):
    """Sizes that fall geometrically from the first class to the last."""

    name: Literal["exponential"] = Field(
        description="With n the size of the smallest class: class k of K keeps n ratio^(-k/(K-1)) samples."
    )
    ratio: AtLeastOne = Field(description="Size of the first class over that of the last.")

    def sizes(self, counts: Sequence[int]) -> tuple[int, ...]:
        classes = range(len(counts))
        return tuple(round(min(counts) * self.ratio ** (-k / (len(counts) - 1))) for k in classes)

    def sentence(self) -> str:
        return f"classes of exponentially falling size, the last {self.ratio:g} times smaller"


class CountedBalance(_Balance):
    """Sizes that are stated."""

    name: Literal["counts"] = Field(description="Stated class sizes.")
    counts: ClassCounts = Field(description="Training samples of every class, in the order of the classes.")

    def sizes(self, counts: Sequence[int]) -> tuple[int, ...]:
        return self.counts

    def sentence(self) -> str:
        return "classes of stated sizes"

    def problem(self, classes: int) -> str:
        given = len(self.counts)
        return "" if given == classes else f"counts: {given} given, but the data has {classes} classes"


Balance = FullBalance | StepBalance | ExponentialBalance | CountedBalance

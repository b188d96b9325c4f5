"""The result of a prediction, and the statement that it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Value = float | tuple[float, ...] | str


class Values(Mapping[str, Value]):
    """Predicted values by name, in the order in which they were given; they cannot be changed.

    Unlike ``types.MappingProxyType`` it can be pickled and copied. ``dict(values)`` makes an ordinary
    dictionary, which JSON wants.
    """

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What theory says about one problem.

    ``values`` maps a name to a float, to a tuple of floats with one entry per class (or per pair of
    classes where the docstring of the setting says so), or to a word. A name that is also a measured quantity means
    exactly that quantity. A name that is absent is not determined by the theory. ``values`` is empty where
    the theory does not apply; ``reason`` then says why, in one line, and is "" otherwise. ``assumptions``
    are what the theory supposes of a run, in words; ``source`` is the paper and its equation.
    """

    setting: str
    values: Values
    applies: bool
    reason: str
    assumptions: tuple[str, ...]
    source: str


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A theorem: the setting it is about, what it supposes and where it stands."""

    setting: str
    assumptions: tuple[str, ...]
    source: str

    def holds(self, values: Mapping[str, Value]) -> Prediction:
        """The prediction where every assumption that can be checked is met."""
        return self._predict(values, "")

    def fails(self, reason: str) -> Prediction:
        """The prediction without values where an assumption is not met."""
        return self._predict({}, reason)

    def _predict(self, values: Mapping[str, Value], reason: str) -> Prediction:
        return Prediction(
            setting=self.setting,
            values=Values(values),
            applies=not reason,
            reason=reason,
            assumptions=self.assumptions,
            source=self.source,
        )

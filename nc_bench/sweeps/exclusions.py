"""Which points of a grid are left out. A rule that leaves out nothing is a mistake, and not a wish."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from nc_bench.sweeps.labels import form_of, named
from nc_bench.text import did_you_mean, shown

Forms = Mapping[str, Hashable]
"""What a point has in each column, see `form_of`."""


class Exclusions:
    """The rules of a sweep file, each a set of values for every column that it names."""

    def __init__(self, rules: Sequence[Mapping[str, Any]], columns: Mapping[str, Mapping[Hashable, Any]]) -> None:
        """`columns`: the values that each column has, by their form. ValueError, a line per problem, for a rule that
        names no column, or a value that its column does not have."""
        problems: list[str] = []
        self._rules: list[dict[str, set[Hashable]]] = []
        for index, rule in enumerate(rules):
            if not rule:
                problems.append(f"exclude.{index}: names no column, and would leave out everything")
            wanted: dict[str, set[Hashable]] = {}
            for column, value in rule.items():
                if column not in columns:
                    problems.append(f"exclude.{index}.{column}: names no column; there are {named(sorted(columns))}")
                    continue
                alternatives = _alternatives(value, columns[column])
                wanted[column] = {form_of(one) for one in alternatives}
                problems += [f"exclude.{index}.{column}: {line}" for line in _unknown(alternatives, columns[column])]
            self._rules.append(wanted)
        if problems:
            raise ValueError("\n".join(problems))
        self._used = [False] * len(self._rules)

    def __call__(self, forms: Forms) -> bool:
        """Whether the point is left out."""
        fitting = [
            index
            for index, rule in enumerate(self._rules)
            if all(column in forms and forms[column] in values for column, values in rule.items())
        ]
        for index in fitting:
            self._used[index] = True
        return bool(fitting)

    def unused(self) -> list[str]:
        """A line for every rule that has left out no point so far."""
        return [
            f"exclude.{index}: leaves out nothing: no point has these values together"
            for index, used in enumerate(self._used)
            if not used
        ]


def _alternatives(value: Any, known: Mapping[Hashable, Any]) -> list[Any]:
    """The values of a rule: one, or each of a list, unless the list is itself a value of the column."""
    return list(value) if isinstance(value, list | tuple) and form_of(value) not in known else [value]


def _unknown(values: Sequence[Any], known: Mapping[Hashable, Any]) -> Iterator[str]:
    if not values:
        yield "should name at least one value"
    for value in values:
        if form_of(value) not in known:
            labels = list(map(str, known.values()))
            yield f"{shown(value)} is no value of it; {did_you_mean(value, labels) or f'there are {named(labels)}'}"

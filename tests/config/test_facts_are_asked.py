"""Code asks the configuration for facts, not for the class or the name of a section."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import nc_bench
from nc_bench.config import Balance, Data, Model, Objective, Optimizer, Schedule
from nc_bench.config.base import Section
from nc_bench.config.model import ACTIVATION_RANGE


def classes_in(union: Any) -> Iterator[type[Section]]:
    """The sections of a union, without their tags."""
    for part in get_args(union):
        yield part if isinstance(part, type) else get_args(part)[0]


def names_in(union: Any) -> Iterator[str]:
    """The names that choose them."""
    for kind in classes_in(union):
        yield from get_args(kind.model_fields["name"].annotation)


PACKAGE = Path(nc_bench.__file__).parent
CLASSES = {kind.__name__ for union in (Data, Model, Optimizer, Schedule, Balance) for kind in classes_in(union)}
CHOICES = {name for union in (Data, Optimizer, Schedule, Balance) for name in names_in(union)} | {
    *(name for kind in Objective.model_json_schema()["properties"]["loss"]["oneOf"] for name in kind.get("enum", ())),
    *ACTIVATION_RANGE,
    "mlp",
    "unconstrained",
    "deep_linear",
    "resnet50",
}
MAY_ASK = {
    "claims/laws.py": "a law of SGD",
    "theory/penultimate.py": "its loss is a keyword of predict: theory knows no configuration",
    "training/optimizers/build.py": "builds each optimizer",
}
"""Where code may ask which class a section is: where things are built from their settings."""


def questions(source: str) -> Iterator[int]:
    """Lines that ask for the class of a section, or compare a choice with a name."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="isinstance"), args=[_, kinds]):
                if {part.id for part in ast.walk(kinds) if isinstance(part, ast.Name)} & CLASSES:
                    yield node.lineno
            case ast.MatchClass(cls=ast.Name(id=kind)) if kind in CLASSES:
                yield node.lineno
            case ast.Compare(left=ast.Attribute(attr="name" | "loss" | "activation"), comparators=[other]):
                if {part.value for part in ast.walk(other) if isinstance(part, ast.Constant)} & CHOICES:
                    yield node.lineno


def test_code_asks_for_facts_and_not_for_classes_or_names() -> None:
    assert list(questions("isinstance(x, Sgd | Muon)")) == [1]
    assert list(questions("match x:\n  case Mlp(): pass")) == [2]
    assert list(questions("objective.loss != 'mse'")) == list(questions("d.name in ('digits', 'x')")) == [1]
    assert list(questions("isinstance(x, Tensor) and error.name != 'timm'")) == []
    found = {
        str(path.relative_to(PACKAGE)): lines
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.parent.name != "config" and (lines := list(questions(path.read_text())))
    }
    assert found.keys() == MAY_ASK.keys(), found

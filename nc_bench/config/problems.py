"""Turns what pydantic says about a configuration into one line per problem, each with its dotted path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import isclass
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from pydantic import Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from nc_bench.config.base import Section
from nc_bench.config.schema import Config
from nc_bench.text import did_you_mean, listed, plain, shown

EXPECTED = {
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "bool_type": "should be true or false",
    "string_type": "should be text",
    "string_too_short": "should not be empty",
    "tuple_type": "should be a list",
}


MOST_PROBLEMS = 20


class Problem(NamedTuple):
    """What is wrong, and the dotted path of the key where."""

    path: str
    text: str


class _Many(NamedTuple):
    """A list of sections, or a mapping to them by keys that are free."""

    section: type[Section]


Contents = type[Section] | dict[str, type[Section]] | _Many | None
"""What a key holds: one section, several told apart by their name, many, or a plain value."""


class _Place(NamedTuple):
    """A path, the model that holds its last key, that key's field (None for an unknown key), the name by which the
    model was chosen (empty if it was not), and what the key holds."""

    path: str
    owner: type[Section]
    field: FieldInfo | None
    kind: str
    contents: Contents


def problems_of(error: ValidationError, root: type[Section] = Config) -> list[Problem]:
    """The first MOST_PROBLEMS of a `root`, in the order of the fields, and last how many more there are.

    The tags of unions do not show in the paths.
    """
    given = [details for details in error.errors() if not _follows(details)]
    found = [problem for details in given[:MOST_PROBLEMS] for problem in _problems(details, root)]
    problems = [Problem(plain(problem.path), plain(problem.text)) for problem in found]
    if len(given) > MOST_PROBLEMS:
        problems.append(Problem("...", f"and {len(given) - MOST_PROBLEMS:,} more problems"))
    return problems


def _follows(details: ErrorDetails) -> bool:
    """Pydantic also calls a list too short when it is long enough but all its entries are wrong."""
    return details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]


def _problems(details: ErrorDetails, root: type[Section]) -> Iterator[Problem]:
    place = _locate(details["loc"], root)
    members = list(_members(place.field))
    match details["type"]:
        case "value_error" if not details["loc"]:
            for line in str(details["ctx"]["error"]).splitlines():
                path, text = line.split(": ", maxsplit=1)
                yield Problem(path, text)
        case "value_error" if place.contents is not None:
            yield Problem(place.path, str(details["ctx"]["error"]))
        case "extra_forbidden" | "invalid_key":
            yield Problem(place.path, _unknown_key(place, root))
        case "missing":
            yield Problem(place.path, f"missing{_meaning(place.field)}")
        case "union_tag_not_found" if isinstance(details["input"], dict):
            yield Problem(f"{place.path}.name", f"missing, should be {_choice(members)}")
        case "union_tag_invalid":
            given = details["input"]["name"]
            text = f"{shown(given)} given, should be {_choice(members)}{_suggestion(given, members)}"
            yield Problem(f"{place.path}.name", text)
        case "union_tag_not_found" | "model_type" | "model_attributes_type" | "dict_type":
            keys = f"with name: {_choice(members)}" if members else "of keys to values"
            yield Problem(place.path, f"{shown(details['input'])} given, should be a mapping {keys}")
        case _:
            yield Problem(place.path, _wrong_value(details, place))


def _wrong_value(details: ErrorDetails, place: _Place) -> str:
    given, context = details["input"], details.get("ctx", {})
    suggestion = ""
    match details["type"]:
        case "value_error":
            expected = str(context["error"])
        case "string_pattern_mismatch" if place.field and place.field.description:
            expected = f"should be {place.field.description.rstrip('.')}"
        case "literal_error":
            allowed = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
            expected, suggestion = f"should be {_choice(allowed)}", _suggestion(given, allowed)
        case "too_short":
            expected = f"should have at least {_entries(context['min_length'])}"
        case "too_long":
            expected = f"should have at most {_entries(context['max_length'])}"
        case kind:
            expected = EXPECTED.get(kind, details["msg"].removeprefix("Input "))
    return f"{shown(given)} given, {expected}{suggestion}"


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"


def _unknown_key(place: _Place, root: type[Section]) -> str:
    key, keys = place.path.rpartition(".")[2], list(place.owner.model_fields)
    elsewhere = [path for path, _ in dotted_keys(root) if path.rpartition(".")[2] == key and path != place.path]
    if suggestion := f"; did you mean '{elsewhere[0]}'?" if elsewhere else _suggestion(key, keys):
        return f"unknown key{suggestion}"
    return f"unknown key{f' for name: {place.kind}' if place.kind else ''}; known are {', '.join(keys)}"


def _meaning(field: FieldInfo | None) -> str:
    return f" ({field.description.rstrip('.')})" if field and field.description else ""


def _suggestion(given: Any, allowed: Sequence[str]) -> str:
    hint = did_you_mean(given, allowed)
    return f"; {hint}" if hint else ""


def _choice(names: Sequence[str]) -> str:
    return listed(names, " or ")


def _locate(location: tuple[int | str, ...], root: type[Section]) -> _Place:
    """Follow pydantic's location through the models, dropping the tags that it adds for unions."""
    path: list[str] = []
    owner, field, kind, chosen = root, None, "", ""
    inside: Contents = root
    for part in location:
        if isinstance(inside, dict):
            chosen = str(part)
            inside = inside[chosen]
        elif isinstance(inside, _Many):
            path.append(str(part))
            # A list may hold mappings to sections: then the next part is a key.
            inside = inside if isinstance(part, int) and _is_mapping_in_list(field) else inside.section
        elif inside is not None:
            path.append(str(part))
            owner, field, kind, chosen = inside, inside.model_fields.get(str(part)), chosen, ""
            inside = contents_of(field)
        elif isinstance(part, int):
            path.append(str(part))
    return _Place(".".join(path), owner, field, kind, inside)


def contents_of(field: FieldInfo | None) -> Contents:
    """What a key holds."""

    if members := _members(field):
        return members
    if sections := _sections(field):
        return sections[0]
    annotation = field.annotation if field else None
    return next((_Many(section) for section in _sections_within(annotation)), None)


def _sections_within(annotation: Any) -> Iterator[type[Section]]:
    """The sections that lists and mappings hold, at any depth."""
    for part in get_args(annotation):
        if isclass(part) and issubclass(part, Section):
            yield part
        else:
            yield from _sections_within(part)


def _is_mapping_in_list(field: FieldInfo | None) -> bool:
    annotation = field.annotation if field else None
    return get_origin(annotation) is tuple and any(get_origin(part) is dict for part in get_args(annotation))


def _members(field: FieldInfo | None) -> dict[str, type[Section]]:
    """The models of a union by name; empty if the field is no such union."""
    return {kind: section for section, tag in _parts(field) for kind in ((tag,) if tag else _kinds(section))}


def _sections(field: FieldInfo | None) -> list[type[Section]]:
    return [section for section, _ in _parts(field)]


def _parts(field: FieldInfo | None) -> list[tuple[type[Section], str | None]]:
    """The models that a key may hold, each with the tag that tells it from the others, if it is given one."""
    annotation = field.annotation if field else None
    if get_origin(annotation) in (dict, tuple):
        return []
    parts = []
    for part in (annotation, *get_args(annotation)):
        section, *notes = get_args(part) if get_origin(part) is Annotated else (part,)
        if isclass(section) and issubclass(section, Section):
            parts.append((section, next((note.tag for note in notes if isinstance(note, Tag)), None)))
    return parts


def _kinds(section: type[Section]) -> tuple[str, ...]:
    """("sgd",) for the model with `name: Literal["sgd"]`; empty where no name chooses the model."""
    name = section.model_fields.get("name")
    return get_args(name.annotation) if name else ()


def dotted_keys(section: type[Section] = Config, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key that a section may have, by its dotted path, with its meaning; a key of several kinds comes several
    times."""
    for key, field in section.model_fields.items():
        yield prefix + key, field.description or ""
        for inner in _sections(field):
            yield from dotted_keys(inner, f"{prefix}{key}.")

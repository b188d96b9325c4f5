"""Writes docs/configuration.md from the JSON Schema of configurations: python scripts/configuration_page.py --write

And configs/schemas, which editors read. Without --write it says what is not in step with the code. Run it when a field
of nc_bench/config, of a sweep file or of a Slurm file changes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nc_bench.config import json_schema
from nc_bench.schema import KINDS, schema_text

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
SCHEMAS = Path(__file__).parents[1] / "configs" / "schemas"
INTRODUCTION = """# Configuration

Every field of a configuration file, written by `python scripts/configuration_page.py --write` from the schema that
files are checked against. `nc-bench schema` prints that schema for editors. An overview by topic is in
[configurations.md](configurations.md#what-can-be-changed), your own parts are in [plug_ins.md](plug_ins.md).

A field is named by its dotted path, in files as nested keys and on the command line as `data.labels=random`. A field in
**bold** has to be given. Where a section has several kinds, `name` chooses one (for the constraints: `set`).
"""
OPEN = {"ExternalModel": "torchvision:NAME, timm:NAME", "LiveModel": "live"}
OPEN |= {f"Plugin{part}": "import:MODULE:NAME" for part in ("Data", "Model", "Optimizer")}
"""What `name` is in the kinds in which it is no fixed word."""

Schema = Mapping[str, Any]


def page() -> str:
    """The page, from the configuration's schema."""
    schema = json_schema()
    top = {name: entry for name, entry in schema["properties"].items() if not _objects(entry)}
    parts = [INTRODUCTION, "## The run\n", *_table(top, schema.get("required", ()))]
    for name, entry in schema["properties"].items():
        if _objects(entry):
            parts += _section(name, entry, schema["$defs"])
    return "\n".join(parts).rstrip("\n") + "\n"


def _section(path: str, entry: Schema, definitions: Schema) -> Iterator[str]:
    """A heading for a section; what all its kinds have, each kind, and the sections within them."""
    kinds = [definitions[name] for name in _objects(entry)]
    yield f"\n## {path}\n"
    yield f"{entry.get('description', '')}\n"
    shared = _shared(kinds) if len(kinds) > 1 else {}
    if shared:
        yield "Fields of every kind:\n"
        yield from _table(shared, kinds[0].get("required", ()))
    inner: dict[str, Schema] = {}
    for kind in kinds:
        fields = {name: field for name, field in kind["properties"].items() if name not in shared}
        if len(kinds) > 1:
            yield f"\n### {path}: {_kind(kind)}\n"
            yield f"{' '.join(kind.get('description', '').split())}\n"
        yield from _table(fields, kind.get("required", ()))
        inner |= {name: field for name, field in kind["properties"].items() if _objects(field)}
    for name, field in inner.items():
        yield from _section(f"{path}.{name}", field, definitions)


def _shared(kinds: list[Schema]) -> dict[str, Schema]:
    """The fields that all kinds have, in the same words."""
    first, *others = (kind["properties"] for kind in kinds)
    return {name: field for name, field in first.items() if all(other.get(name) == field for other in others)}


def _kind(kind: Schema) -> str:
    """What `name` (or `set`) is where this kind is chosen."""
    for key in ("name", "set"):
        field = kind["properties"].get(key)
        if field is not None:
            return _values(field).replace("`", "") if "const" in field or "enum" in field else OPEN[kind["title"]]
    return str(kind["title"])


def _table(fields: Schema, required: Any) -> Iterator[str]:
    if not fields:
        return
    yield "| field | values | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in fields.items():
        shown = f"**`{name}`**" if name in required else f"`{name}`"
        default = f"`{_yaml(field['default'])}`" if "default" in field and not _objects(field) else ""
        cells = (shown, _values(field), default, " ".join(field.get("description", "").split()))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _objects(field: Schema) -> list[str]:
    """The definitions that a field may hold, by name."""
    options = [field, *field.get("oneOf", ()), *field.get("anyOf", ()), field.get("items", {})]
    return [option["$ref"].rsplit("/", 1)[1] for option in options if "$ref" in option]


def _values(field: Schema) -> str:
    """The values that a field takes, in words."""
    if _objects(field):
        several = "a list of these" if field.get("type") == "array" else "see below"
        return f"{several}, or `null`" if {"type": "null"} in field.get("anyOf", ()) else several
    options = field.get("oneOf") or field.get("anyOf")
    if options:
        return " or ".join(dict.fromkeys(_values(option) for option in options))
    if "const" in field:
        return f"`{_yaml(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{_yaml(value)}`" for value in field["enum"])
    return _of_type(field)


def _of_type(field: Schema) -> str:
    kind = field.get("type", "any")
    if kind == "array":
        return f"a list of: {_values(field.get('items', {}))}"
    if kind == "null":
        return "`null`"
    words = {"integer": "a whole number", "number": "a number", "boolean": "`true`, `false`", "string": "text"}
    words |= {"object": "a mapping", "any": "anything"}
    return f"{words[kind]}{_range(field)}" if kind in ("integer", "number") else words[kind]


def _range(field: Schema) -> str:
    bounds = [("exclusiveMinimum", ">"), ("minimum", "≥"), ("exclusiveMaximum", "<"), ("maximum", "≤")]
    found = [
        f"{sign} {field[key]:,}".replace(",", " ") for key, sign in bounds if key in field and abs(field[key]) < 1e9
    ]
    return f" {' and '.join(found)}" if found else ""


def _yaml(value: Any) -> str:
    """A value as YAML's flow style writes it."""
    return value if isinstance(value, str) and value else json.dumps(value)


def main() -> int:
    """Write page and schemas, or say which are not in step: exit status 0 if all are, 1 if not."""
    wanted = {PAGE: page(), **{SCHEMAS / f"{kind}.json": schema_text(kind) for kind in KINDS}}
    old = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--write" in sys.argv[1:]:
        for path in old:
            path.write_text(wanted[path], encoding="utf-8")
        return 0
    for path in old:
        print(f"{path} is not in step with the configuration: python scripts/configuration_page.py --write")
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())

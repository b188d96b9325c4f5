"""The JSON schema of a configuration: what is allowed, and what every field means."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from config_files import small

from nc_bench.config import SHIPPED, dump_config, json_schema
from nc_bench.schema import KINDS, schema_text


def models_in(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [schema, *schema["$defs"].values()]


def test_every_field_says_what_it_means() -> None:
    schema = json_schema()
    assert len(models_in(schema)) > 10
    for model in models_in(schema):
        assert model["additionalProperties"] is False
        for name, field in model["properties"].items():
            said = {**schema["$defs"].get(field.get("$ref", "").rpartition("/")[2], {}), **field}
            assert len(said.get("description", "")) >= 5, f"{model['title']}.{name}"


def test_schema_lists_what_is_allowed() -> None:
    schema = json_schema()
    assert sorted(schema["required"]) == ["data", "model", "optimizer", "training"]
    assert schema["$defs"]["AdamW"]["required"] == ["name", "lr", "decoupled_decay"]
    assert schema["$defs"]["OutputBound"]["properties"]["p"]["minimum"] == 1
    assert schema["$defs"]["Downloaded"]["properties"]["name"]["enum"][:2] == ["mnist", "fashion_mnist"]
    assert schema["properties"]["device"]["pattern"]
    assert yaml.safe_load(dump_config(small())).keys() == schema["properties"].keys()


@pytest.mark.parametrize("kind", KINDS)
def test_the_schemas_that_editors_read_are_those_of_today(kind: str) -> None:
    kept = (SHIPPED / "schemas" / f"{kind}.json").read_text(encoding="utf-8")
    assert kept == schema_text(kind), "python scripts/configuration_page.py --write"


def test_a_sweep_file_is_completed_with_the_keys_of_a_configuration() -> None:
    schema = json.loads(schema_text("sweep"))
    for section in (schema, schema["$defs"]["Arm"]):
        assert "optimizer.momentum" in section["properties"]["settings"]["properties"]
        assert section["properties"]["axes"]["properties"]["optimizer.lr"]["$ref"] == "#/$defs/Axis"
    assert schema["$defs"]["Axis"]["anyOf"][0] == {"type": "array", "minItems": 1}
    assert {"required": ["extends"]} in schema["anyOf"] and "extends" in schema["properties"]


def test_every_shipped_file_names_the_schema_of_its_kind() -> None:
    for path in SHIPPED.rglob("*.yaml"):
        (named,) = re.findall(
            r"^# yaml-language-server: \$schema=(\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        kind = "config" if path.parent == SHIPPED else "sweep"
        assert (path.parent / named).resolve() == (SHIPPED / "schemas" / f"{kind}.json").resolve(), path

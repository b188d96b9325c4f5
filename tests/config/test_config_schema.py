"""The JSON schema of a configuration: what is allowed, and what every field means."""

from __future__ import annotations

from typing import Any

import yaml
from config_files import small

from nc_bench.config import dump_config, json_schema


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

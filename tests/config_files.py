"""Small configurations, their sections and their refusals, for the tests of configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from nc_bench.config import Config, ConfigError, Model, Optimizer, load_config

BALL = """
data: {name: digits}
model: {name: mlp, widths: [256, 256, 64], batch_norm: true, final_activation: false}
head: {bias: false}
constraints:
  features: {radius: 5}
  head: {radius: 1}
optimizer: {name: sgd, lr: 5e-2, momentum: .9}
schedule: {name: cosine}
training: {epochs: 300, batch_size: 128}
"""

SMALL: dict[str, Any] = {
    "data": {"name": "digits"},
    "model": {"name": "mlp", "widths": [32, 16]},
    "optimizer": {"name": "sgd", "lr": 0.05},
    "training": {"epochs": 3, "batch_size": 128},
}


def small(**changes: Any) -> Config:
    """The small configuration with sections replaced or, where both are mappings, updated."""
    merged = {**SMALL, **changes}
    for key, value in changes.items():
        if isinstance(value, dict) and key in SMALL:
            merged[key] = {**SMALL[key], **value}
    return Config.model_validate(merged)


def made(union: Any, **settings: Any) -> Any:
    """The section of a union that its name chooses."""
    return TypeAdapter(union).validate_python(settings)


def choice(union: Any) -> str:
    """`a, b or c`: the names that choose a section of this union, as messages list them."""
    names: list[str] = []
    for part in get_args(union):
        section, *tags = (part,) if isinstance(part, type) else get_args(part)
        names += [tag.tag for tag in tags] or get_args(section.model_fields["name"].annotation)
    return f"{', '.join(names[:-1])} or {names[-1]}"


MODELS, OPTIMIZERS = choice(Model), choice(Optimizer)


def refusal(path: Path, *overrides: str) -> list[str]:
    """The lines of the refusal, without the folder of the file."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return str(caught.value).replace(f"{path.parent}/", "").splitlines()


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path

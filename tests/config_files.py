"""A configuration file and its refusals, for the tests that read configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from nc_bench.config import ConfigError, Model, Optimizer, load_config

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

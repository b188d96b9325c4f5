"""Weights that a model starts from: a file, known to the configuration by its digest."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, model_validator

from nc_bench.config.base import Section
from nc_bench.config.values import PathText
from nc_bench.errors import ConfigError
from nc_bench.paths import expanded


class StartingWeights(Section):
    """What models share that may start from weights."""

    not_in_hash: ClassVar[frozenset[str]] = frozenset({"weights"})

    weights: PathText | None = Field(
        default=None,
        description="A file with the state dict of the whole model, head included, to start from: .pt or .pth (read "
        "with weights_only) or .safetensors; module. and _orig_mod. before all names are left out. Without the head's "
        "parameters the head is new. null: none.",
    )
    weights_digest: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{16}$",
        description="Digest of that file, filled in when a configuration is read; training refuses another file.",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_digest(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(given.get("weights"), str) or given.get("weights_digest"):
            return given
        return {**given, "weights_digest": weights_digest(given["weights"])}


def weights_digest(file: str) -> str:
    """16 hexadecimal digits of the SHA-256 of a file; ConfigError where it cannot be read."""
    path = expanded(file, key="model.weights", error=ConfigError)
    if not path.is_file():
        raise ConfigError(f"weights: {path}: there is no such file")
    try:
        stat = path.stat()
        return _digest(path.absolute(), stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise ConfigError(f"weights: {path}: cannot be read: {error.strerror or error}") from None


@lru_cache(maxsize=64)
def _digest(path: Path, modified: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]

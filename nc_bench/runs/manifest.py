"""manifest.json: what a run is and how far it came, with a SHA-256 over all that it says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any

from nc_bench.errors import RunError
from nc_bench.runs.files import digest, finite_or_null, read_json, write_json

SHA256 = "sha256"

Shapes = dict[str, tuple[type, ...]]
NUMBER = (int, float, NoneType)

SHAPES: Shapes = {
    "status": (str,),
    "epochs_done": (int,),
    "epochs": (int,),
    "stopped_early": (str, NoneType),
    "seconds": NUMBER,
    "recording_seconds": NUMBER,
    "classes": (int,),
    "class_counts": (list,),
    "class_names": (list,),
    "samples": (dict,),
    "input_shape": (list,),
    "feature_width": (int,),
    "layers": (dict,),
    "null": (dict,),
    "rows": (dict,),
    "files": (dict,),
    "versions": (dict,),
    "config_hash": (str,),
    "data_digest": (str,),
    "run": (str,),
}
"""What the values are that somebody reads; a manifest need not have them all."""

INSIDE: dict[str, Shapes] = {
    "samples": {"train": (int,), "test": (int,)},
    "rows": {"count": (int,), "sha256": (str,)},
    "files": {"config.yaml": (str,), "metrics.csv": (str,), "predictions.json": (str,)},
}


def write_manifest(path: Path, content: Mapping[str, Any]) -> None:
    """Write the manifest with the SHA-256 of what it says."""
    plain = finite_or_null(content)
    write_json(path, {**plain, SHA256: _digest(plain)})


def read_manifest(path: Path) -> dict[str, Any]:
    """What a manifest says, without its SHA-256.

    RunError, one line, if it is not JSON, its SHA-256 does not match, or a value is not of the kind that it should be.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise RunError(f"{path}: damaged (holds no mapping of names to values)")
    stated = content.pop(SHA256, None)
    if stated is not None and stated != _digest(content):
        raise RunError(f"{path}: damaged (its SHA-256 does not match)")
    _check(content, SHAPES, path, "")
    for key, shapes in INSIDE.items():
        _check(content.get(key, {}), shapes, path, f"{key}.")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return digest(json.dumps(content, sort_keys=True).encode())


def _check(content: Mapping[str, Any], shapes: Shapes, path: Path, above: str) -> None:
    for key, kinds in shapes.items():
        value = content.get(key)
        if key in content and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            raise RunError(f"{path}: damaged ({above}{key} is {json.dumps(value)[:40]})")

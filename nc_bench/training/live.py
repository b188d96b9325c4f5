"""The configuration of a run whose model or data Python code hands over, and what is handed over by its digest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nc_bench.config import Config, config_of
from nc_bench.data import data_digest
from nc_bench.data.live import live_dataset
from nc_bench.models.linear_layers import unwrapped
from nc_bench.models.live import DIGITS, model_digest

NOT_READ_YET = "0" * DIGITS


def live_config(
    given: Any, overrides: Mapping[str, Any], *, model: Any = None, data: Any = None
) -> tuple[Config, dict[str, Any]]:
    """The configuration with a live model or data in the place of its own, and these by the digests that it states.

    So the hash of the configuration depends on the model's layers and initial state, and on the contents of the data.
    Raises ConfigError, DataError or UserError, each one line.
    """
    sections: dict[str, Any] = {}
    objects: dict[str, Any] = {}
    if model is not None:
        digest = model_digest(model)
        sections["model"] = {"name": f"live:{type(unwrapped(model)).__name__}", "digest": digest}
        objects[digest] = model
    if data is not None:
        sections["data"] = {"name": "live", "digest": NOT_READ_YET}
    config = config_of(given, {**sections, **overrides})
    if data is not None:
        settings: Any = config.data
        dataset = live_dataset(settings, data)
        digest = data_digest(dataset)[:DIGITS]
        config = config_of(config, {"data.digest": digest})
        objects[digest] = dataset
    return config, objects

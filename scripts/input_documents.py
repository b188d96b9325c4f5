"""Configurations and sweep files that the input campaign draws: shipped ones, changed in a few places or as text."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from input_outcomes import RIGHT

from nc_bench import load_config
from nc_bench.config import config_hash, dump_config
from nc_bench.sweeps.grid import load_grid

CONFIGS = Path(__file__).parents[1] / "configs"

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**3),
    st.sampled_from(
        [2**63, 10**30, 10**400, 1e-300, 1e300, math.nan, math.inf, -0.0, "1e-3", "010", "auto", "~", "a\nb"]
    ),
    st.text(max_size=8),
    st.lists(st.integers(-1, 5), max_size=4),
    st.dictionaries(st.sampled_from(["name", "values", "lr", "from", "to", "", "\x07"]), st.integers(0, 3), max_size=3),
)


def branches(content: Any) -> list[dict[str, Any]]:
    """All mappings in a document."""
    if isinstance(content, list):
        return [found for entry in content for found in branches(entry)]
    return [content, *(f for v in content.values() for f in branches(v))] if isinstance(content, dict) else []


@st.composite
def documents(draw: st.DrawFn, paths: list[Path]) -> bytes:
    """A shipped file, changed in up to three places or as text."""
    text = draw(st.sampled_from(paths)).read_text(encoding="utf-8")
    if draw(st.integers(0, 3)) == 0:
        start, end = sorted(draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
        middle = draw(
            st.one_of(
                st.binary(max_size=6), st.sampled_from([b"&a [*a]", b"<<: *b", b"\t", b"!!python/name:os", b"\0"])
            )
        )
        return text[:start].encode() + middle + text[min(end, start + 20) :].encode()
    content = yaml.safe_load(text)
    for _ in range(draw(st.integers(1, 3))):
        branch = draw(st.sampled_from(branches(content)))
        key = draw(st.one_of(st.sampled_from(sorted(branch) or ["name"]), st.text(max_size=6)))
        if draw(st.booleans()):
            branch[key] = draw(VALUES)
        else:
            branch.pop(key, None)
    return yaml.safe_dump(content, allow_unicode=True).encode("utf-8", "surrogatepass")


def check_config(content: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_bytes(content)
        config = load_config(path)
        path.write_text(dump_config(config), encoding="utf-8")
        again = load_config(path)
        assert again == config and config_hash(again) == config_hash(config), "reads differently once it is written out"
    return RIGHT


def check_sweep(content: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        for shared in CONFIGS.glob("*.yaml"):
            Path(folder, shared.name).symlink_to(shared)
        (Path(folder) / "sweeps").mkdir()
        path = Path(folder, "sweeps", "sweep.yaml")
        path.write_bytes(content)
        grid = load_grid(path)
        assert len({config_hash(config) for config in grid.trials.values()}) == len(grid.trials), "two trials are one"
    return RIGHT

"""A set of the user's own: the cube of the docstring bounds features and head; refused where a map is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from plugin_files import Written
from small_runs import network

from nc_bench.config import Config
from nc_bench.constraints import build_set
from nc_bench.plugins import PluginError
from nc_bench.training import run_training
from nc_bench.training.grouping import groups

CUBE = """
from nc_bench.constraints import ConstraintSet

class Cube(ConstraintSet):
    in_forward_pass, on_parameters, combine = True, True, "max"

    def __init__(self, radii, p, factor=1.0):
        super().__init__(radii, p)
        self.factor = factor

    def bound(self, x): return x.clamp(-self.factor * self.radius, self.factor * self.radius)
    def project(self, x): return self.bound(x)
    def statistics(self, x): return (x.abs() / (self.factor * self.radius)).amax((1, 2))
    def residual(self, statistics): return (statistics - 1).clamp(min=0)

class Narrow(Cube):
    def bound(self, x): return x[..., :1]

class Flat(Cube):
    def bound(self, x): return x.detach()

class Wrong(Cube):
    def project(self, x): raise ValueError("no way")

class Vague(Cube):
    def residual(self, statistics): return statistics.sum()

class Other: pass
"""


def bounded(path: str, **settings: Any) -> Config:
    bound = {"set": path, "radius": 0.5, **settings}
    return network(constraints={"features": bound, "head": bound}, training={"epochs": 1, "batch_size": None})


def test_the_cube_bounds_features_and_head(plugin: Written, tmp_path: Path) -> None:
    path = plugin(CUBE) + ":Cube"
    config = bounded(path, arguments={"factor": 2})
    assert groups([config, config]) == [[0], [1]] and path in config.constraints.sentences()[0]
    assert run_training(config, tmp_path / "run") == "complete"
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert row["feature_residual"] == row["head_residual"] == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert sorted(manifest["plugins"]) == ["constraints.features.set", "constraints.head.set"]
    claims = json.loads((tmp_path / "run" / "predictions.json").read_text())
    assert any("no minimiser is known for" in str(claim) for claim in claims)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Narrow", r"its bound\(x\) should be finite and of the shape of x"),
        ("Flat", r"its bound\(x\) has no gradient"),
        ("Wrong", r"ValueError: no way \(own_\d+\.py, line \d+\)"),
        ("Vague", r"its residual should be a number for each trial, not of shape \(\)"),
        ("Other", r"should be a class derived from nc_bench\.constraints\.ConstraintSet"),
    ],
)
def test_sets_that_cannot_be_used(plugin: Written, name: str, problem: str) -> None:
    path = plugin(CUBE)
    with pytest.raises(PluginError, match=rf"^constraints\.features\.set: {path}:{name}: {problem}"):
        build_set([bounded(f"{path}:{name}")], "features")
    with pytest.raises(PluginError, match=r"^constraints\.features\.arguments\.facto: .*did you mean 'factor'"):
        build_set([bounded(f"{path}:Cube", arguments={"facto": 2})], "features")

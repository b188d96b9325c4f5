"""What `import nc_bench` offers: its public names, its version, its types."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jaxtyping
import pytest
import torch
import yaml

import nc_bench

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_dir_lists_the_public_names_and_each_can_be_imported() -> None:
    names = set(dir(nc_bench))
    assert names == {"__version__", *nc_bench._HOMES} and set(nc_bench.__all__) == names
    for name in names - {"__version__"}:
        assert getattr(nc_bench, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'nc_bench' has no attribute 'collapse'"):
        nc_bench.__getattr__("collapse")


def test_looking_at_the_package_and_predicting_load_no_torch() -> None:
    program = """
import sys, nc_bench
dir(nc_bench), nc_bench.__version__, nc_bench.predict("penultimate_ball", classes=3, radius=1.0)
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_the_version_is_the_installed_package_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        assert name == PYPROJECT["project"]["name"]
        return "1.2.3"

    def not_installed(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    for answer, expected in ((version, "1.2.3"), (not_installed, "0+unknown")):
        monkeypatch.setattr("importlib.metadata.version", answer)
        assert nc_bench.__version__ == expected


def test_type_checkers_of_users_see_the_annotations() -> None:
    assert (ROOT / "nc_bench" / "py.typed").read_text() == ""
    assert "py.typed" in PYPROJECT["tool"]["setuptools"]["package-data"]["nc_bench"]


def test_calls_are_held_against_their_annotations() -> None:
    from nc_bench.geometry.balls import project_mean_square

    rows = torch.ones(3, 2)
    assert project_mean_square(rows, 1).shape == (3, 2)
    for wrong in (rows[0], rows.long(), rows.numpy()):
        with pytest.raises(jaxtyping.TypeCheckError):
            project_mean_square(wrong, 1)


HEAVY = ("dask", "matplotlib", "numpy", "pandas", "pydantic", "sklearn", "scipy", "torch", "torchvision", "yaml")
ALLOWED = {
    "nc_bench": set[str](),
    "nc_bench.cli": set[str](),
    "nc_bench.theory": {"numpy"},
    "nc_bench.config": {"numpy", "pydantic", "yaml"},
    "nc_bench.training": {"numpy", "pandas", "pydantic", "scipy", "torch", "yaml"},
}
"""What each has imported when it is imported after those before it."""


def test_libraries_are_imported_only_where_they_are_used() -> None:
    program = "import importlib, sys\nfor module in sys.argv[2:]:\n    importlib.import_module(module)\n    "
    program += "print(*(name for name in sys.argv[1].split() if name in sys.modules))"
    line = [sys.executable, "-c", program, " ".join(HEAVY), *ALLOWED]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    for (module, allowed), found in zip(ALLOWED.items(), done.stdout.splitlines(), strict=True):
        assert set(found.split()) <= allowed, module


def test_one_version_is_stated_everywhere() -> None:
    version = PYPROJECT["project"]["version"]
    newest = re.search(r"^## (\S+?),? ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert newest is not None and newest[1] == citation["version"] == version
    (paper,) = citation["references"]
    assert paper["identifiers"][0]["value"] == "arXiv:2012.05420"


def test_issue_templates_can_be_read() -> None:
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        template = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert path.stem == "config" or {"name", "description", "body"} <= template.keys()

"""The wheel: built, installed where nothing of the repository is seen, and the main job run there from its names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("nc_bench", "configs", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md")

pytestmark = pytest.mark.slow


def called(*line: str | Path, cwd: Path, **environment: str) -> str:
    known = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(line, cwd=cwd, env=known | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, in a path with a space: building leaves files."""
    copy = tmp_path_factory.mktemp("a source")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def built(source: Path) -> Path:
    """The folder with the source distribution, and the wheel that is built from it and not from the repository."""
    pytest.importorskip("setuptools", "77", reason="setuptools builds, and pip fetches it where it is not installed")
    dist, hook = source / "dist", "from setuptools import build_meta; print(build_meta.build_{}({!r}))"
    called(sys.executable, "-c", hook.format("sdist", str(dist)), cwd=source)
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(source / "unpacked", filter="data")
    (unpacked,) = (source / "unpacked").iterdir()
    called(sys.executable, "-c", hook.format("wheel", str(dist)), cwd=unpacked)
    return dist


def test_the_main_job_runs_from_the_wheel(built: Path, tmp_path: Path) -> None:
    """Every shipped file is in it, and a configuration and a study are found by their names."""
    environment = tmp_path / "an environment"
    called(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))
    # What nc_bench needs is taken from the environment of the tests; its .pth files, which may lead to the repository,
    # are not read there.
    (packages / "of_the_tests.pth").write_text(sysconfig.get_path("purelib"))
    (wheel,) = built.glob("*.whl")
    called(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", packages, wheel, cwd=tmp_path)
    shipped = packages / "nc_bench" / "shipped"
    names = {path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*") if path.is_file()}
    assert names == {path.relative_to(shipped) for path in shipped.rglob("*") if path.is_file()}

    python, elsewhere = environment / "bin" / "python", tmp_path / "else where"
    elsewhere.mkdir()
    run = [python, "-m", "nc_bench"]
    where = called(python, "-c", "import nc_bench; print(nc_bench.__file__)", cwd=elsewhere)
    assert Path(where.strip()).is_relative_to(packages)
    assert len(called(*run, "configs", cwd=elsewhere).splitlines()) == len([n for n in names if n.suffix == ".yaml"])
    said = called(*run, "train", "digits_ball", "training.epochs=2", "device=cpu", cwd=elsewhere)
    (page,) = elsewhere.glob("results/runs/digits_ball/*/report.html")
    assert page.parent.name in said and page.stat().st_size > 100_000
    status = called(*run, "sweep", "studies/depth", "--status", cwd=elsewhere)
    assert status.startswith("results/runs/depth: ") and "pending" in status

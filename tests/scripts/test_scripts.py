"""scripts/ with a stand-in for Python: it keeps a list of its calls, and makes and installs nothing real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
TOOLS = ("bash", "cat", "chmod", "cp", "date", "dirname", "grep", "mkdir", "rm", "rmdir", "tail", "touch")

# $CALLS lists what the interpreter was asked to do, one line a call.
STAND_IN = """#!/usr/bin/env bash
echo "$*" | head -n 1 >>"$CALLS"
case "$1 $2" in
    "--version "*) echo "${FAKE_VERSION:-Python 3.11.7}" ;;
    "-c "*version_info*) exit "${FAKE_TOO_OLD:-0}" ;;
    "-c "*) exec "$REAL_PYTHON" "$@" ;;
    "-m venv") [ -z "${FAKE_NO_VENV:-}" ] || exit 1; target="$3" ;;
    "-m virtualenv") for target in "$@"; do :; done ;;
    "-m pip") eval "${FAKE_PIP:-}" ;;
esac
if [ -n "${target:-}" ]; then
    mkdir -p "$target/bin"
    cp "$0" "$target/bin/python"
    printf '#!/usr/bin/env bash\\necho "$*" >>"$CALLS"\\n' >"$target/bin/nc-bench"
    chmod +x "$target/bin/nc-bench"
fi
"""


@dataclass(kw_only=True)
class Checkout:
    """A copy of the scripts in a folder with a space, and a PATH that holds little else than `python3`."""

    root: Path
    tools: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> Path:
        return self.root / ".venv"

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        (self.tools / "calls").write_text("")
        return subprocess.run(
            ["bash", str(self.root / "scripts" / script), *arguments],
            env={
                "PATH": str(self.tools),
                "CALLS": str(self.tools / "calls"),
                "REAL_PYTHON": sys.executable,
                **variables,
            },
            cwd=self.tools,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,  # a test may kill the whole process group
        )

    def calls(self, *starts: str) -> list[str]:
        lines = (self.tools / "calls").read_text().splitlines()
        return [line for line in lines if line.startswith(starts)]

    def made(self) -> list[str]:
        return self.calls("-m venv", "-m virtualenv", "-m pip")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root, tools = tmp_path / "a copy", tmp_path / "tools"
    shutil.copytree(SCRIPTS, root / "scripts")
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "constraints.txt").write_text("")
    tools.mkdir()
    for tool in (*TOOLS, "env", "head"):
        os.symlink(str(shutil.which(tool)), tools / tool)
    (tools / "python3").write_text(STAND_IN)
    (tools / "python3").chmod(0o755)
    return Checkout(root=root, tools=tools)


def test_demo_installs_once_and_hands_overrides_on(checkout: Checkout) -> None:
    first = checkout.run("demo.sh", "training.epochs=2", "data.labels=random")
    assert first.returncode == 0, first.stderr
    assert [call.split()[:3] for call in checkout.made()] == [
        ["-m", "venv", str(checkout.environment).split()[0]],
        ["-m", "pip", "install"],
    ]
    assert checkout.made()[1].endswith("--constraint constraints.txt --editable .")
    (train,) = checkout.calls("train")
    results = first.stdout.splitlines()[-1].removeprefix("The results are in ")
    assert results.startswith(f"{checkout.root}/results/runs/digits_ball/")
    config = checkout.root / "configs" / "digits_ball.yaml"
    assert train == f"train --config {config} --out {results} training.epochs=2 data.labels=random"

    second = checkout.run("demo.sh")
    assert second.returncode == 0
    assert checkout.made() == []
    assert len(checkout.calls("train")) == 1


def test_demo_takes_overrides_only(checkout: Checkout) -> None:
    for argument in ("--out=x", "--help", "epochs", "=3"):
        refused = checkout.run("demo.sh", argument)
        assert refused.returncode == 1
        assert refused.stderr.startswith("error: usage: bash scripts/demo.sh [dotted.key=value ...]")
    assert not checkout.environment.exists()


PARALLEL = "--numprocesses auto --maxprocesses 4 --dist worksteal"


def test_test_lints_checks_types_and_tests(checkout: Checkout) -> None:
    first = checkout.run("test.sh")
    assert first.returncode == 0, first.stderr
    assert checkout.made()[1].endswith("--editable .[dev]")
    steps = checkout.calls("-m ruff", "-m mypy", "-m pytest")
    assert steps == [
        "-m ruff check .",
        "-m ruff format --check .",
        "-m mypy",
        f"-m pytest {PARALLEL} -m not slow",
    ]

    everything = checkout.run("test.sh", "--all")
    assert everything.returncode == 0
    assert checkout.made() == []
    assert checkout.calls("-m pytest") == [f"-m pytest {PARALLEL} -m slow or not slow"]

    assert checkout.run("test.sh", "--al").stderr == "error: usage: bash scripts/test.sh [--all]\n"


def test_what_the_tests_need_covers_the_demo_but_not_the_reverse(checkout: Checkout) -> None:
    checkout.run("demo.sh")
    checkout.run("test.sh")
    (install,) = checkout.made()
    assert install.endswith(".[dev]")
    checkout.run("demo.sh")
    assert checkout.made() == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed_into_the_same_environment(checkout: Checkout, name: str) -> None:
    checkout.run("test.sh")
    before = (checkout.root / name).read_text()
    (checkout.root / name).write_text("# another\n")
    checkout.run("demo.sh")
    assert [call.split()[1] for call in checkout.made()] == ["pip"]
    (checkout.root / name).write_text(before)
    checkout.run("test.sh")
    assert [call.split()[1] for call in checkout.made()] == ["pip"], "packages had changed in between"


def test_a_moved_repository_gets_a_new_environment(checkout: Checkout) -> None:
    checkout.run("demo.sh")
    moved = checkout.root.rename(checkout.root.with_name("moved"))
    there = Checkout(root=moved, tools=checkout.tools)
    (there.environment / "left over").touch()
    assert there.run("demo.sh").returncode == 0
    assert [call.split()[1] for call in there.made()] == ["venv", "pip"]
    assert not (there.environment / "left over").exists()


@pytest.mark.parametrize("version, problem", [("Python 3.9.18", "Python 3.9.18"), ("", "not a working Python")])
def test_python_too_old(checkout: Checkout, version: str, problem: str) -> None:
    fake = {"FAKE_TOO_OLD": "1", "FAKE_VERSION": version} if version else {"FAKE_TOO_OLD": "1"}
    if not version:
        (checkout.tools / "python3").write_text("#!/usr/bin/env bash\necho 'command not found' >&2; exit 127\n")
    for chosen in ({}, {"PYTHON": str(checkout.tools / "python3")}):
        for script in ("demo.sh", "test.sh"):
            refused = checkout.run(script, **fake, **chosen)
            assert refused.returncode == 1
            assert refused.stdout == ""
            (line,) = refused.stderr.splitlines()
            assert line.startswith("error: Python 3.11 or newer is needed, but ")
            assert problem in line
    assert not checkout.environment.exists()


def test_no_python(checkout: Checkout) -> None:
    (checkout.tools / "python3").unlink()
    refused = checkout.run("demo.sh")
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert "there is no python3 on PATH" in line


def test_a_newer_python_is_preferred_and_a_broken_one_skipped(checkout: Checkout) -> None:
    (checkout.tools / "python3.13").write_text("#!/usr/bin/env bash\nexit 127\n")
    (checkout.tools / "python3").rename(checkout.tools / "python3.12")
    for name in ("python3.13", "python3.12"):
        (checkout.tools / name).chmod(0o755)
    assert checkout.run("demo.sh").returncode == 0
    assert checkout.calls("-m venv")


def test_pip_fails_before_it_changes_anything(checkout: Checkout) -> None:
    checkout.run("demo.sh")
    offline = "echo 'ERROR: No matching distribution found for ruff'; exit 1"
    refused = checkout.run("test.sh", FAKE_PIP=offline)
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        "error: installing nc_bench failed (is there a network?): No matching distribution found for ruff; "
        f"see {checkout.environment}/install.log"
    ]
    assert checkout.run("demo.sh").returncode == 0
    assert checkout.made() == [], "the demo does not need what is missing"
    assert checkout.run("test.sh").returncode == 0
    assert [call.split()[1] for call in checkout.made()] == ["pip"]


@pytest.mark.parametrize("end", ["echo 'Installing collected packages: numpy'; exit 1", "kill -9 0"])
def test_an_installation_cut_short_is_redone_from_the_start(checkout: Checkout, end: str) -> None:
    half = checkout.run("demo.sh", FAKE_PIP=end)
    assert half.returncode != 0
    (checkout.environment / "half a package").touch()
    assert checkout.run("demo.sh").returncode == 0
    assert [call.split()[1] for call in checkout.made()] == ["venv", "pip"]
    assert not (checkout.environment / "half a package").exists()


def test_without_venv_pip_brings_virtualenv(checkout: Checkout) -> None:
    assert checkout.run("demo.sh", FAKE_NO_VENV="1").returncode == 0
    assert [call.split()[1] for call in checkout.made()] == ["venv", "pip", "virtualenv", "pip"]
    assert not (checkout.environment / "virtualenv").exists()


def test_without_venv_and_pip(checkout: Checkout) -> None:
    refused = checkout.run("demo.sh", FAKE_NO_VENV="1", FAKE_PIP="echo No module named pip; exit 1")
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("error: neither venv nor virtualenv by pip works with ")
    assert checkout.run("demo.sh").returncode == 0


def test_an_environment_of_someone_else_is_left_alone(checkout: Checkout) -> None:
    checkout.environment.mkdir()
    (checkout.environment / "precious").touch()
    refused = checkout.run("demo.sh")
    assert refused.returncode == 1
    assert refused.stderr == f"error: {checkout.environment} was not made by these scripts; move it away\n"
    assert (checkout.environment / "precious").exists()
    (checkout.environment / "precious").unlink()
    assert checkout.run("demo.sh").returncode == 0, "an empty folder is nobody's"

"""The `nc-bench` command: which module gets which arguments, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import nc_bench
from nc_bench.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_command_gets_the_other_arguments(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    module = ModuleType(f"nc_bench.{command}")

    def main_of_command(argv: list[str]) -> int:
        given.append(argv)
        return 3

    monkeypatch.setattr(module, "main", main_of_command, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert main([command, "--help", "a=b"]) == 3
    assert given == [["--help", "a=b"]]


def test_the_command_line_is_read_if_nothing_is_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nc-bench", "schema", "now"])
    assert main() == 2
    said = capsys.readouterr().err
    assert said.startswith("nc-bench schema: argument kind: invalid choice: 'now'") and said.count("\n") == 1


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], None])
def test_help_lists_every_command(
    argv: list[str] | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nc-bench"])
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "usage: nc-bench COMMAND ..."
    for command in COMMANDS:
        assert any(line.startswith(f"  {command} ") for line in lines)


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(nc_bench, "__version__", "1.2.3", raising=False)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "nc-bench 1.2.3\n"


@pytest.mark.parametrize(
    "command, hint",
    [
        ("trian", "did you mean 'train'?"),
        ("frobnicate", "the commands are train, measure, sweep, studies, report, verify, configs, schema"),
    ],
)
def test_an_unknown_command(command: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command]) == 2
    assert capsys.readouterr().err == f"nc-bench: unknown command '{command}'; {hint}\n"


def test_schema_needs_no_torch() -> None:
    program = "import sys; sys.modules['torch'] = None; from nc_bench.cli import main; sys.exit(main(['schema']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert json.loads(done.stdout)["title"] == "Config"


def test_the_shipped_configurations_are_listed_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = {
        path.relative_to(ROOT / "configs").with_suffix("").as_posix() for path in (ROOT / "configs").rglob("*.yaml")
    }
    shown = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}
    assert set(shown) == names and len(lines) == len(names) and max(map(len, lines)) <= 120
    assert shown["digits_no_collapse"].startswith("that the bench can tell.")
    assert shown["studies/depth"].startswith("do the last two layers collapse")
    assert main(["configs", "MNIST", "depth"]) == 0
    found = capsys.readouterr().out.splitlines()
    assert 0 < len(found) < len(lines) and all("mnist" in line.lower() or "depth" in line for line in found)

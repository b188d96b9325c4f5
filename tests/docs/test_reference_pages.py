"""Pages that repeat what stands elsewhere, compared with it: configuration, studies, files to copy, the Python API."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import nc_bench
from nc_bench.config import shipped_names

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_the_configuration_page_is_in_step_with_the_schema() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/configuration_page.py"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_shipped_configuration_is_explained() -> None:
    text = (DOCS / "configurations.md").read_text(encoding="utf-8").split("\n## ")[0]
    table = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    named = {name for cell in table for name in re.findall(r"`(\w+)`", cell)}
    assert {name for name in shipped_names() if "/" not in name} == named


def test_the_page_of_studies_gives_their_verdicts() -> None:
    text = (DOCS / "studies.md").read_text(encoding="utf-8")
    sections = re.split(r"^## (\w+)$", text, flags=re.MULTILINE)
    told = {name: re.search(r"^\*\*(\w+)\*\*", body, re.MULTILINE) for name, body in _pairs(sections)}
    kept = {path.parent.name: path.read_text(encoding="utf-8") for path in (ROOT / "results").glob("*/answer.md")}
    verdicts = {name: re.search(r"^\*\*(\w+):", answer, re.MULTILINE) for name, answer in kept.items()}
    assert {name: found and found[1] for name, found in told.items()} == {
        name: found and found[1] for name, found in verdicts.items()
    }
    listed = re.findall(r"^\| \[(\w+)\]\(#\w+\) \| .* \| (\w+) \|$", text, re.MULTILINE)
    assert [(name, found and found[1].lower()) for name, found in told.items()] == listed


def _pairs(sections: list[str]) -> list[tuple[str, str]]:
    return list(zip(sections[1::2], sections[2::2], strict=True))


@pytest.mark.parametrize("name", ["train.sbatch", "sweep.sbatch", "workers.yaml", "gpu_workers.yaml"])
def test_the_page_of_clusters_shows_the_files_to_copy(name: str) -> None:
    text = (ROOT / "examples" / "cluster" / name).read_text(encoding="utf-8")
    assert f"```text\n{text}```" in (DOCS / "clusters.md").read_text(encoding="utf-8")
    if name.endswith(".sbatch"):
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_the_file_of_workers_is_one_that_sweep_reads() -> None:
    from nc_bench.sweeps.slurm_file import read_slurm

    settings = read_slurm(ROOT / "examples" / "cluster" / "workers.yaml")
    assert settings.jobs == 8 and settings.walltime == "04:00:00"


def test_the_api_page_has_every_public_name() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    generated = {line.rsplit(".", 1)[1] for line in re.findall(r"^::: (\S+)$", page, re.MULTILINE)}
    assert generated == set(nc_bench.__all__) - {"__version__"}


def test_the_readme_is_short_and_has_the_commands_of_the_tests() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 180
    assert "bash scripts/test.sh --all" in text and "bash scripts/demo.sh" in text

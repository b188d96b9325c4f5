"""The definitions inside the repository: complete, in step with the code, and every reference leads to one of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from nc_bench import predict
from nc_bench.claims import catalogue
from nc_bench.metrics import METRIC_NAMES, NULL_NAMES
from nc_bench.metrics.undefined import NEEDS
from nc_bench.recording.depth import DEPTH_NAMES
from nc_bench.theory.dispatch import SETTINGS

ROOT = Path(__file__).parents[1]
METRICS, THEORY = ROOT / "docs" / "metrics.md", ROOT / "docs" / "theory.md"
LABELS = ["Formula", "Range", "At the minimiser", "Null", "Needs", "Source"]
PARTS = ["Formula", "Assumptions", "Source", "How sure", "Claims"]

SEARCHED = ("nc_bench", "tests", "configs", "benchmarks", "scripts", "docs", "results", "examples")
TEXT = {".py", ".md", ".yaml", ".sh", ".toml", ".cff"}
NUMBERED = re.compile(r"\b[Ff]loors? [0-9]|\b[Ll]aws? [0-9]")
"""Numbers of sections that no document here has."""

DOCUMENT = re.compile(r"\b[A-Z]{2,}\.md\b")
"""Documents beside the README."""

REFERENCE = re.compile(r"docs/([a-z_]+\.md)(?:#([\w-]+)|, ([0-9]+))?")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([\w-]+))?\)")

EXAMPLE = {
    **{"classes": 3, "per_class": 2, "counts": (3, 2, 2), "radius": 1.0, "feature_radius": 1.0, "head_opnorm": 1.0},
    **{"head_energy": 1.0, "feature_energy": 1.0, "head_decay": 0.01, "feature_decay": 0.01},
    **{"p1": 0.2, "p2": 0.4, "p3": 0.4},
    **{"p": 3.0, "width": 3, "temperature": 0.5, "time": 1.0, "start_margin": 0.1, "layers": 3, "decay": 0.001},
}
"""A value for each keyword that a setting cannot do without."""

ONE_OF = {"mixed_bounds": {"radius": 1.0, "head_energy": 1.0}}
"""Where one of several keywords is needed."""


def sections(path: Path, level: str) -> dict[str, str]:
    """Text below each heading of this level, up to the next heading of this level or a higher one."""
    parts = re.split(rf"^({level} .*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    higher = re.compile(rf"^#{{1,{len(level)}}} ", re.MULTILINE)
    return {
        heading.removeprefix(level).strip(): higher.split(text)[0]
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }


@cache
def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a Markdown file."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def files() -> list[Path]:
    found = [path for path in ROOT.iterdir() if path.suffix in TEXT]
    for folder in SEARCHED:
        found += [path for path in (ROOT / folder).rglob("*") if path.suffix in TEXT]
    return sorted(path for path in found if path != Path(__file__) and "runs" not in path.relative_to(ROOT).parts[1:2])


def unresolved(text: str) -> Iterator[str]:
    """References of the form docs/FILE.md, docs/FILE.md#anchor and "docs/theory.md, N" that lead nowhere."""
    for match in REFERENCE.finditer(text):
        name, anchor, number = match.groups()
        target = ROOT / "docs" / name
        if not target.exists():
            yield match[0]
            continue
        if anchor and anchor not in anchors(target):
            yield match[0]
        if number and not re.search(rf"^## {number}\. ", target.read_text(encoding="utf-8"), re.MULTILINE):
            yield match[0]


def leads_outside(line: str) -> bool:
    """Whether it refers to a document, or to a number of a section, that is not in the repository."""
    missing = [name for name in DOCUMENT.findall(line) if name != "FILE.md" and not (ROOT / name).exists()]
    return bool(missing or NUMBERED.search(line))


def broken_links(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    for match in LINK.finditer(text):
        target, anchor = match.groups()
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        other = path.parent / target if target else path
        inside = other.resolve().is_relative_to(ROOT)
        if not inside or not other.exists() or (anchor and anchor not in anchors(other)):
            yield match[0]


def test_every_metric_has_its_entry_in_the_order_of_the_table() -> None:
    entries = sections(METRICS, "###")
    assert list(entries) == list(METRIC_NAMES)
    wrong = [name for name, text in entries.items() if re.findall(r"^- ([A-Z][a-z ]+):", text, re.MULTILINE) != LABELS]
    assert wrong == []


def test_every_column_of_depth_has_its_entry() -> None:
    entries = sections(METRICS, "####")
    assert list(entries) == list(DEPTH_NAMES)
    for name, text in entries.items():
        assert re.findall(r"^- ([A-Z][a-z ]+):", text, re.MULTILINE) == LABELS, name


def test_an_entry_says_when_the_metric_is_undefined_and_where_it_has_a_baseline() -> None:
    entries = sections(METRICS, "###")
    conditions = set(re.findall(r"^\| `(\w+)` \|", sections(METRICS, "##")["Undefined values"], re.MULTILINE))
    assert conditions == {condition for needed in NEEDS.values() for condition in needed}
    for name, text in entries.items():
        field = dict(re.findall(r"^- ([A-Z][a-z ]+): (.*)$", text, re.MULTILINE))
        assert set(re.findall(r"`(\w+)`", field["Needs"])) == set(NEEDS[name]), name
        assert name not in NULL_NAMES or field["Null"] != "-", name


def test_the_value_at_the_minimiser_is_that_of_the_theory() -> None:
    predicted = predict("penultimate_ball", classes=4, radius=3.0).values
    compared = 0
    for name, text in sections(METRICS, "###").items():
        stated = re.search(r"^- At the minimiser: ([01])(?= \(|,|$)", text, re.MULTILINE)
        if stated and name in predicted:
            assert predicted[name] == float(stated[1]), name
            compared += 1
    assert compared >= 18


def test_every_setting_and_its_keywords_and_values_are_explained() -> None:
    text = THEORY.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", text, re.MULTILINE))
    assert rows.keys() == SETTINGS.keys()
    for setting, row in rows.items():
        parameters = inspect.signature(SETTINGS[setting]).parameters.values()
        own = [p for p in parameters if p.name not in ("width", "class_weights")]
        for parameter in own:
            default = parameter.default
            shown = f'"{default}"' if isinstance(default, str) else str(default)
            assert parameter.name in row, (setting, parameter.name)
            assert default is parameter.empty or f"{parameter.name}={shown}" in row, (setting, parameter.name)
        needed = {p.name: EXAMPLE[p.name] for p in parameters if p.default is p.empty} | ONE_OF.get(setting, {})
        missing = [name for name in predict(setting, **needed).values if f"`{name}`" not in text]
        assert missing == [], setting


def test_every_prediction_has_its_parts_and_every_claim_a_section() -> None:
    numbered = {head: body for head, body in sections(THEORY, "##").items() if re.match(r"[0-9]+\. ", head)}
    assert [int(head.split(".")[0]) for head in numbered] == list(range(1, len(numbered) + 1))
    named: list[str] = []
    for head, body in numbered.items():
        parts = re.findall(r"^- \*\*([A-Z][a-z ]+)\.\*\*", body, re.MULTILINE)
        assert [part for part in PARTS if part not in parts] == [], head
        named += re.findall(r"`([\w.]+)`", body.split("- **Claims.**")[1])
    assert sorted(named) == sorted(claim.name for claim in catalogue.claims())


def test_every_reference_resolves() -> None:
    dead = {str(path.relative_to(ROOT)): list(unresolved(path.read_text(encoding="utf-8"))) for path in files()}
    assert {path: found for path, found in dead.items() if found} == {}
    links = {str(path.relative_to(ROOT)): list(broken_links(path)) for path in files() if path.suffix == ".md"}
    assert {path: found for path, found in links.items() if found} == {}


def test_no_reference_leads_outside_the_repository() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if leads_outside(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text", ["docs/nothing.md", "docs/metrics.md#nc9", "docs/theory.md, 99", "see docs/theory.md#1-outputs"]
)
def test_a_dead_reference_is_found(text: str) -> None:
    assert len(list(unresolved(text))) == 1


@pytest.mark.parametrize("text", ["see NOTES.md", "Floor 1: metrics", "law 15 for d < K-1"])
def test_a_reference_to_the_outside_is_found(text: str) -> None:
    assert leads_outside(text)
    assert not leads_outside("docs/metrics.md, README.md, `risk_floor` 1e-3, a law of every run, the floor of the risk")

"""The floors of the package: imports only go down. Imports inside functions count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "nc_bench"
ROOT = Path(__file__).parents[1] / PACKAGE

# A place may import the places of the groups before its own, and none of its own group. Floors are split for that:
# models stand on constraints; training on recording and verdicts, and these on runs; sweeps on reports, whose style
# their figures have; and `cli` on all commands.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "handed_over", "plugin_source", "statistics", "telling", "text"),
    ("paths", "plugins"),
    ("geometry", "config", "rng", "distributed", "vision"),
    ("metrics", "theory"),
    ("constraints",),
    ("models", "data"),
    ("runs",),
    ("loggers",),
    ("recording", "verdicts"),
    ("training",),
    ("claims", "reports"),
    ("sweeps",),
    ("api", "commands", "parsing"),
    ("run_recorder",),
    ("integrations",),
    ("train", "sweep", "studies", "measure", "verify", "report", "configs", "schema"),
    ("completion",),
    ("cli",),
    ("__main__",),
)
HEIGHTS = {place: height for height, floor in enumerate(FLOORS) for place in floor}
NEVER_CONFIG = {"metrics", "theory"}
NEVER_TORCH = {
    "errors",
    "handed_over",
    "plugin_source",
    "plugins",
    "statistics",
    "telling",
    "text",
    "paths",
    "commands",
    "parsing",
    "config",
    "theory",
    "runs",
    "verdicts",
    "reports",
}
TORCH = {"torch", "torchvision"}


def modules() -> list[Path]:
    """All modules but `nc_bench/__init__.py`, which is lazy: it names public functions of every floor."""
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, module: str, *, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a module imports, relative imports resolved."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = node.level - is_package
                parents = module.split(".")[: len(module.split(".")) - up]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def uses_distributed(source: str) -> bool:
    names = {name for _, name in imported(source, PACKAGE)}
    attributes = {ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    return any(f"{name}.".startswith("torch.distributed.") for name in names | attributes)


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    place = module.split(".")[1]
    if place not in HEIGHTS:
        return [f"{module} stands on no floor; give {place} one in FLOORS"]
    found = []
    for line, name in imported(source, module, is_package=is_package):
        top, _, rest = name.partition(".")
        target = rest.split(".")[0]
        if top in TORCH and place in NEVER_TORCH:
            found.append(f"{module}:{line} imports {top}")
        if top != PACKAGE or target in (place, "__version__"):
            continue
        if target not in HEIGHTS:
            found.append(f"{module}:{line} imports {name}, which stands on no floor")
        elif HEIGHTS[target] >= HEIGHTS[place]:
            found.append(f"{module}:{line} imports {target}, which is not below {place}")
        elif target == "config" and place in NEVER_CONFIG:
            found.append(f"{module}:{line} imports config, but {place} never sees one")
    return found


def test_imports_only_go_down() -> None:
    found = [
        violation
        for path in modules()
        for violation in violations(
            path.read_text(encoding="utf-8"), name_of(path), is_package=path.name == "__init__.py"
        )
    ]
    assert not found, "\n".join(found)


def test_one_module_at_most_knows_of_other_processes() -> None:
    found = [name_of(path) for path in modules() if uses_distributed(path.read_text(encoding="utf-8"))]
    assert len(found) <= 1, found


def test_all_modules_are_seen() -> None:
    assert {"nc_bench.cli", "nc_bench.config", "nc_bench.config.schema"} <= {name_of(path) for path in modules()}


WRONG = (
    ("nc_bench.metrics.a", "import nc_bench.models", "imports models, which is not below metrics"),
    ("nc_bench.metrics.a", "from nc_bench.theory import predict", "imports theory"),
    ("nc_bench.metrics.a", "def f():\n    from nc_bench.config import Config", ":2 imports config"),
    ("nc_bench.theory.a", "from nc_bench import config", "theory never sees one"),
    ("nc_bench.models.a", "from ..data import Dataset", "imports data"),
    ("nc_bench.models.a", "from .. import training", "imports training"),
    ("nc_bench.recording.a", "from nc_bench.training.loop import run", "not below recording"),
    ("nc_bench.runs.a", "from nc_bench.recording import Recorder", "not below runs"),
    ("nc_bench.geometry.a", "from nc_bench import rng", "not below geometry"),
    ("nc_bench.reports.a", "if True:\n    import torch.nn as nn", ":2 imports torch"),
    ("nc_bench.config.a", "from torch import Tensor", "imports torch"),
    ("nc_bench.runs.a", "from torchvision import io", "imports torchvision"),
    ("nc_bench.training.a", "from nc_bench import collapse_metrics", "stands on no floor"),
    ("nc_bench.train", "from nc_bench.cli import main", "not below train"),
    ("nc_bench.report", "from nc_bench.train import main", "not below report"),
    ("nc_bench.helpers", "import os", "nc_bench.helpers stands on no floor"),
)
RIGHT = (
    (
        "nc_bench.training.a",
        "from nc_bench.recording import Recorder\nfrom nc_bench.runs import read_run",
    ),
    ("nc_bench.recording.a", "import nc_bench.metrics.names, torch\nfrom nc_bench.runs.rows import Row"),
    ("nc_bench.metrics.a", "from nc_bench.metrics.names import NAMES\nfrom . import b\nfrom .b import c"),
    ("nc_bench.training.a", "from nc_bench import __version__"),
    ("nc_bench.cli", "from nc_bench.train import main\nfrom nc_bench.config import json_schema"),
    (
        "nc_bench.reports.a",
        "import matplotlib\nfrom nc_bench.runs import read_run\nimport torch_like",
    ),
)


def test_a_wrong_import_is_found() -> None:
    for module, source, problem in WRONG:
        found = violations(source, module)
        assert len(found) == 1 and problem in found[0], (module, source, found)


def test_a_right_import_is_not() -> None:
    assert [found for module, source in RIGHT for found in violations(source, module)] == []


def test_relative_imports_of_a_package_are_its_own() -> None:
    assert violations("from .b import c", "nc_bench.metrics", is_package=True) == []
    assert violations("from ..models import c", "nc_bench.metrics", is_package=True) != []


def test_torch_distributed_is_found() -> None:
    used = (
        "import torch.distributed as dist",
        "from torch import distributed",
        "def f():\n    from torch.distributed.elastic import x",
        "import torch\nrank = torch.distributed.get_rank()",
    )
    assert [source for source in used if not uses_distributed(source)] == []
    assert not uses_distributed("import torch\nfrom torch.nn.parallel import DistributedDataParallel")

"""The source of a module and of what it imports from beside it, as files: nothing is imported to find them."""

from __future__ import annotations

import ast
import hashlib
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

INSTALLED = frozenset({"site-packages", "dist-packages"})
OWN = "nc_bench"


def module_file(name: str) -> Path | None:
    """The file of a module on the Python path, of a package its `__init__.py`; None where there is none."""
    spec: ModuleSpec | None = None
    for depth in range(1, name.count(".") + 2):
        folders = None if spec is None else spec.submodule_search_locations
        if spec is not None and folders is None:
            return None
        spec = PathFinder.find_spec(".".join(name.split(".")[:depth]), folders)
        if spec is None:
            return None
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def source_of(name: str, file: Path) -> str:
    """16 hexadecimal digits of the SHA-256 of the files that the module `name` in `file` is made of.

    They are the file itself and, unless it belongs to an installed package, all files that it imports, directly or
    through each other, from the folder of the Python path that it lies in; by their names there and their contents.
    Imports are read from the text, inside of functions too; what `importlib` is asked for is not seen.
    """
    root = _root(name, file)
    files = [file] if _is_installed(root) else sorted(_closure(name, file, root))
    whole = hashlib.sha256()
    for path in files:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return whole.hexdigest()[:16]


def _root(name: str, file: Path) -> Path:
    """The folder of the Python path that the module was found in."""
    depth = name.count(".") + (file.stem == "__init__")
    return file.parents[depth]


def _is_installed(root: Path) -> bool:
    library = Path(sysconfig.get_paths()["stdlib"])
    return bool(INSTALLED & set(root.parts)) or root == library or library in root.parents


def _closure(name: str, file: Path, root: Path) -> set[Path]:
    found, pending = set[Path](), [(name, file)]
    while pending:
        module, path = pending.pop()
        if path in found:
            continue
        found.add(path)
        stat = path.stat()
        for imported in _imports(path, module, stat.st_mtime_ns, stat.st_size):
            pending += list(_files(imported, root))
    return found


def _files(name: str, root: Path) -> Iterator[tuple[str, Path]]:
    """The module of this name beneath the folder and the packages that it is in, with their files."""
    parts = name.split(".")
    if parts[0] == OWN:
        return
    for depth in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:depth])
        for file in (place / "__init__.py", place.parent / f"{place.name}.py"):
            if file.is_file():
                yield ".".join(parts[:depth]), file


@lru_cache(maxsize=1024)
def _imports(path: Path, module: str, modified: int, size: int) -> tuple[str, ...]:
    """Full names of all that may be a module among what a file imports, and the module's own packages."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # said when it is imported
        return ()
    found = [module]
    package = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *([node.module] if node.module else [])]
            found += [".".join([*base, alias.name]) for alias in node.names if alias.name != "*"]
            found += [".".join(base)] if base else []
    return tuple(dict.fromkeys(found))

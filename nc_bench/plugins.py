"""Plug-ins: what a configuration names by `import:package.module:name`, found, imported, called, and told from others.

Modules are searched for in the working directory and on the Python path. Imports no torch, and a plug-in only when it
is used: the digest of its source is taken from the files alone.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any, TypeGuard

from nc_bench.errors import LostProcess, UserError, out_of_memory
from nc_bench.plugin_source import module_file, source_of
from nc_bench.text import did_you_mean, listed, one_line

PREFIX = "import:"

NAME = r"[^\W\d]\w*(\.[^\W\d]\w*)*"

PATTERN = rf"^{PREFIX}{NAME}:{NAME}$"
"""What the path of a plug-in looks like."""

SOURCE = "__nc_bench_source__"
"""Attribute of an imported module: the digest of the source that it was made of."""


class PluginError(UserError):
    """A plug-in that cannot be found, imported or called, fails itself, or returns something else than it should."""


def is_plugin(name: object) -> TypeGuard[str]:
    """Whether the value of a configuration is the path of a plug-in."""
    return isinstance(name, str) and name.startswith(PREFIX)


def source_digest(path: str) -> str:
    """16 hexadecimal digits of the SHA-256 of the source that a plug-in is made of (see `source_of`).

    Nothing is imported. Raises PluginError, one line that begins with the path, where there is no such module.
    """
    module = _parts(path)[0]
    search_in(os.getcwd())
    file = module_file(module)
    if file is None:
        raise PluginError(f"{path}: {_no_module(module)}")
    try:
        return source_of(module, file)
    except OSError as error:
        raise PluginError(f"{path}: {file} cannot be read: {error.strerror or error}") from None


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """Something imported that can be called. `key`: the key of the configuration that names it by its `path`."""

    key: str
    path: str
    value: Any

    @property
    def name(self) -> str:
        """Its own name, without module and package."""
        return self.path.rpartition(":")[2].rpartition(".")[2]

    def keywords(
        self, arguments: Mapping[str, Any], offered: Mapping[str, Any] | None = None, *, positional: int = 0
    ) -> dict[str, Any]:
        """The keywords of a call: the `arguments` of the configuration, and what is `offered` and its signature has.

        Raises PluginError for an argument that it does not take, and for one that it needs and nobody gives, beside
        its first `positional` ones.
        """
        place = f"{self.key.rpartition('.')[0]}.arguments"
        try:
            parameters = list(inspect.signature(self.value).parameters.values())
        except (TypeError, ValueError):  # as functions written in C may have none
            return dict(arguments)
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)][positional:]
        names = [parameter.name for parameter in named]
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            for name in arguments:
                if name not in names:
                    hint = did_you_mean(name, names) or f"it takes {listed(names) or 'none'}"
                    raise PluginError(f"{place}.{name}: {self.path} has no such argument; {hint}")
        given = {name: value for name, value in (offered or {}).items() if name in names} | dict(arguments)
        missing = [p.name for p in named if p.default is p.empty and p.name not in given]
        if missing:
            raise PluginError(f"{place}: {self.path} needs {listed(missing)}")
        return given

    def __call__(self, *positional: Any, **keywords: Any) -> Any:
        """Call it; an error of its own becomes a PluginError of one line."""
        with self.own_errors():
            return self.value(*positional, **keywords)

    @contextmanager
    def own_errors(self) -> Iterator[None]:
        """Say what fails inside of the block in one line: the path of the plug-in, the error, its file and line."""
        try:
            yield
        except (UserError, LostProcess):
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            raise self.refused(_described(error)) from error

    def refused(self, problem: str) -> PluginError:
        """The error to raise where this plug-in is not what it should be, or fails."""
        return PluginError(f"{self.key}: {self.path}: {problem}")


def load_plugin(key: str, path: str, source: str | None = None) -> Plugin:
    """Import the plug-in at `path`, which the configuration names at `key`.

    `source`: the digest that the configuration states. Raises PluginError, one line: no such module or name in it, an
    error while it is imported, something that cannot be called, and a source that has changed since the configuration
    was read or the module imported.
    """
    module_name, attribute = _parts(path)
    try:
        digest = source_digest(path)
    except PluginError as error:
        raise PluginError(f"{key}: {error}") from None
    if source is not None and digest != source:
        raise PluginError(f"{key}: {path}: its source has changed (its digest is {digest}, and {source} stated)")
    module = _imported(key, path, module_name, digest)
    value: Any = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            hint = did_you_mean(part, [name for name in dir(value) if not name.startswith("_")])
            file = getattr(module, "__file__", None) or module_name
            raise PluginError(f"{key}: {path}: {file} has no '{part}'{f'; {hint}' if hint else ''}")
        value = getattr(value, part)
    if not callable(value):
        raise PluginError(f"{key}: {path}: should be a function or a class, not a {type(value).__name__}")
    return Plugin(key=key, path=path, value=value)


def _parts(path: str) -> tuple[str, str]:
    """Module and name within it."""
    module, _, attribute = path.removeprefix(PREFIX).partition(":")
    return module, attribute


def search_in(folder: str) -> None:
    """Look for plug-ins in this folder too: the working directory, where Python was not started with -m."""
    if folder not in sys.path and not ("" in sys.path and folder == os.getcwd()):
        sys.path.insert(0, folder)
    importlib.invalidate_caches()  # a file may be younger than Python's list of its folder


def _imported(key: str, path: str, name: str, digest: str) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        problem = f"{name} cannot be imported from {module_file(name)}: {_described(error)}"
        raise PluginError(f"{key}: {path}: {problem}") from error
    if vars(module).setdefault(SOURCE, digest) != digest:
        raise PluginError(f"{key}: {path}: its source has changed since it was imported; start Python anew")
    return module


def _no_module(name: str) -> str:
    here = os.getcwd()
    near = did_you_mean(name, sorted(_modules_in(Path(here))))
    return f"there is no module {name} in {here} or on the Python path{f'; {near}' if near else ''}"


def _modules_in(folder: Path) -> set[str]:
    try:
        return {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    except OSError:
        return set()


def _described(error: BaseException) -> str:
    """The error in one line with the file and the line that it comes from."""
    what = f"{type(error).__name__}: {one_line(error)}"
    if isinstance(error, SyntaxError):  # which names file and line itself
        return what
    frames = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    return f"{what} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else what

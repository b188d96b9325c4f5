"""Completion in the shell: commands, options, names of shipped configurations, dotted keys. By argcomplete, an extra.

The shell asks for it by `eval "$(register-python-argcomplete nc-bench)"`, which starts nc-bench with _ARGCOMPLETE set.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from nc_bench.errors import UserError


def complete(commands: Mapping[str, str]) -> None:
    """Tell the shell how its line may go on, and end this process. UserError where argcomplete is not installed.

    commands: what each does, by its name; the module of that name has its `parser`.
    """
    try:
        import argcomplete
    except ImportError:
        raise UserError("completion needs argcomplete: pip install 'nc_bench[completion]'") from None
    argcomplete.autocomplete(_parser_of_all(commands, os.environ.get("COMP_LINE", "").split()))


def _parser_of_all(commands: Mapping[str, str], words: list[str]) -> argparse.ArgumentParser:
    """All commands; options only of the one that the line names, whose module alone is imported."""
    parser = argparse.ArgumentParser(prog="nc-bench")
    parser.add_argument("--version", action="store_true")
    each = parser.add_subparsers(metavar="COMMAND")
    for name, meaning in commands.items():
        own = [import_module(f"nc_bench.{name}").parser()] if name in words[1:2] else []
        for action in [action for one in own for action in one._actions]:
            if action.dest in COMPLETERS:
                vars(action)["completer"] = COMPLETERS[action.dest](name)
        each.add_parser(name, help=meaning, parents=own, add_help=not own)
    return parser


def _names(command: str) -> Callable[..., list[str]]:
    """Shipped configurations, which for a sweep are those in folders; and files."""

    def complete(prefix: str, **_: Any) -> list[str]:
        from argcomplete.completers import FilesCompleter

        from nc_bench.config import shipped_names

        names = [name for name in shipped_names() if ("/" in name) == (command == "sweep")]
        return [*(name for name in names if name.startswith(prefix)), *FilesCompleter(("yaml", "yml"))(prefix)]

    return complete


def _overrides(command: str) -> Callable[..., list[str]]:
    """A configuration, or dotted keys with `=`; after `optimizer.name=` the optimizers."""

    def complete(prefix: str, **known: Any) -> list[str]:
        from nc_bench.config import Config
        from nc_bench.config.problems import contents_of, dotted_keys

        key, equals, _ = prefix.partition("=")
        if equals:
            kinds = contents_of(Config.model_fields.get(key.removesuffix(".name")))
            return [f"{key}={kind}" for kind in kinds if "<" not in kind] if isinstance(kinds, dict) else []
        keys = [f"{dotted}=" for dotted, _ in dotted_keys() if dotted.startswith(prefix)]
        return [*_names(command)(prefix), *dict.fromkeys(keys)]

    return complete


COMPLETERS = {"config": _names, "overrides": _overrides}
"""By the argument that they complete; files are completed everywhere else."""

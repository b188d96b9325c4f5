"""python obtain.py TOPIC: what the claims of a topic obtain, as JSON, while the theory refuses to be asked.

In a process of its own, since the checks of annotations, which every test runs under, slow solvers down several times.
"""

from __future__ import annotations

import inspect
import json
import sys
from importlib import import_module
from pkgutil import iter_modules

import torch

from nc_bench import theory
from nc_bench.theory import dispatch


def no_theory(*_: object, **__: object) -> None:
    raise AssertionError("a solver asked the theory")


if __name__ == "__main__":
    torch.set_num_threads(1)
    claims = import_module(sys.argv[1]).claims()
    for module in (
        theory,
        *(import_module(f"{theory.__name__}.{found.name}") for found in iter_modules(theory.__path__)),
    ):
        for name, _ in inspect.getmembers(module, inspect.isfunction):
            setattr(module, name, no_theory)
    dispatch.SETTINGS.update(dict.fromkeys(dispatch.SETTINGS, no_theory))
    json.dump({claim.name: float(claim.obtained()) for claim in claims}, sys.stdout)

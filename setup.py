"""Puts the files of configs/ into the package that is built, as nc_bench/shipped. All else is in pyproject.toml.

They stand outside of nc_bench, where readers of the repository look for them, and not behind a link, which git on
Windows does not make.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """The usual step, and a copy of configs/; an editable installation finds those of the repository."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            shutil.copytree("configs", Path(self.build_lib) / "nc_bench" / "shipped", dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithConfigs})

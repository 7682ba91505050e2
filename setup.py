"""Put the book's records and recipes in the wheel, inside the package; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithRecords(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # an editable install reads those of the clone
            unwanted = shutil.ignore_patterns("__pycache__", "*.pt", "*.safetensors")
            for name in ("recipes", "results"):
                shutil.copytree(name, Path(self.build_lib, "minivit", name), ignore=unwanted, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithRecords})

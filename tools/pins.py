"""Renew requirements.txt: install what pyproject.toml asks for in an empty environment and record the versions.

torch is not renewed with the rest but pinned here, because stored outputs and results depend on it.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tools.paths import ROOT

TORCH = "torch==2.13.0"
EXTRAS = "figures,book,lab,browser,teach,test"
# What other platforms also need, which an environment on this one can't show.
MARKED = {"appnope": "==1.0.0; sys_platform == 'darwin'"}

HEADER = """\
# Exactly what readers, Binder and CI install: all that pyproject.toml asks for and all that this brings, for Python
# 3.11 to 3.13 on Linux and macOS. Written by `make pins`; try `make book test` in a fresh clone before you commit it.
# The CUDA libraries that torch brings on Linux are pinned by torch itself.
"""


def requirements(frozen: str) -> str:
    """Return the text of requirements.txt for the output of ``pip freeze --all``.

    A local version such as ``+cpu`` is dropped: it names one build of a release, and an index may have others.
    """
    pins = dict(line.split("==") for line in frozen.splitlines() if "==" in line and "@" not in line)
    lines = [f"{name}=={version.partition('+')[0]}" for name, version in pins.items() if name != "pip"]
    lines += [name + rest for name, rest in MARKED.items() if name not in pins]
    return HEADER + "\n".join(sorted(lines, key=str.lower)) + "\n-e .\n"


def frozen_environment(folder: Path) -> str:
    """Return what pip installs in an empty environment, one ``name==version`` per line."""
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip"]
    subprocess.run([*pip, "install", "--quiet", "--editable", f"{ROOT}[{EXTRAS}]", TORCH], check=True)
    freeze = [*pip, "freeze", "--all", "--exclude-editable"]
    return subprocess.run(freeze, check=True, capture_output=True, encoding="utf-8").stdout


def main() -> None:
    if sys.version_info[:2] != (3, 11):
        sys.exit("Run this with Python 3.11: the newest packages that work with it also work with 3.12 and 3.13.")
    beside = ROOT / "requirements.tmp"
    with tempfile.TemporaryDirectory() as folder:
        beside.write_text(requirements(frozen_environment(Path(folder))), encoding="utf-8")
        os.replace(beside, ROOT / "requirements.txt")


if __name__ == "__main__":
    main()

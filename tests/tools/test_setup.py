"""The set-up that the two commands of the quickstart depend on."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

from tools.pins import EXTRAS, TORCH, requirements

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = (ROOT / "requirements.txt").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def canonical(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement).group()).lower()


def pinned(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith(("#", "-e"))]


def test_requirements_are_exact_and_name_no_index_and_no_build():
    for line in pinned(REQUIREMENTS):
        assert re.fullmatch(r"[\w.-]+==[\w.]+(; sys_platform == '\w+')?", line), line
    assert TORCH in REQUIREMENTS.splitlines()
    assert REQUIREMENTS.splitlines()[-1] == "-e ."


def test_requirements_cover_all_that_the_project_asks_for():
    extras = PROJECT["optional-dependencies"]
    assert set(EXTRAS.split(",")) == extras.keys()
    asked = {canonical(line) for group in [PROJECT["dependencies"], *extras.values()] for line in group}
    assert asked <= {canonical(line) for line in pinned(REQUIREMENTS)}


def test_pins_drop_the_build_of_torch_and_pip_itself():
    text = requirements("zlib==1.0\ntorch==2.13.0+cpu\npip==26.0\nAlpha==2\n")
    assert [line for line in pinned(text) if "sys_platform" not in line] == ["Alpha==2", "torch==2.13.0", "zlib==1.0"]


def make(*words):
    names = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # those of `make test`
    return subprocess.run(["make", "--no-print-directory", *words], cwd=ROOT, env=names, capture_output=True,
                          encoding="utf-8", check=True).stdout


def test_make_alone_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split()
    assert [line.split()[1] for line in make().splitlines()] == targets


def test_make_hands_on_where_torch_comes_from():
    steps = make("--dry-run", "--always-make", "TORCH_CPU=a folder", ".venv/.ready").splitlines()
    assert [line for line in steps if line.endswith('-m tools.install --torch-cpu "a folder"')]

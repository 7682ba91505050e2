"""The pages name files, functions, modules, tests and commands: all of them exist."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(page for folder, pattern in (("book", "**/*.md"), (".", "*.md"), ("course", "*.md"), ("results", "*.md"))
               for page in (ROOT / folder).glob(pattern))
FOLDERS = ("book", "course", "minivit", "recipes", "results", "tests", "tools")
EXAMPLES = ("results/NAME", "recipes/NAME", "course/assignments/NAME", "tests/course/answers/NAME")

pages = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())


def prose(path: Path) -> str:
    return re.sub(r"^(`{3,}).*?^\1$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def code(path: Path) -> list[str]:
    """Return what stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", prose(path))


@pages
def test_files_are_there(path):
    named = [word for word in code(path) if re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*", word)]
    assert [word for word in named if not word.startswith(EXAMPLES) and not (ROOT / word).exists()] == []


@pages
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", prose(path))
    assert [link for link in links if not (path.parent / link).exists()] == []


@pages
def test_what_stands_in_a_file_stands_in_it(path):
    for word, file in re.findall(r"`(\w+)`\s+(?:in|of)\s+`(minivit/[\w/]+\.py)`", prose(path)):
        assert re.search(rf"\b{word}\b", (ROOT / file).read_text(encoding="utf-8")), f"{word} is not in {file}"


@pages
def test_tests_are_there(path):
    there = {file.name for file in (ROOT / "tests").rglob("test_*.py")}
    assert {word for word in code(path) if re.fullmatch(r"test_\w+\.py", word)} <= there


@pages
def test_modules_can_be_imported(path):
    for word in code(path):
        if re.fullmatch(r"minivit(\.[a-z]\w*)+", word):
            importlib.import_module(word)


@pages
def test_commands_of_make_exist(path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split()
    named = {word for command in code(path) if re.fullmatch(r"make [a-z -]+", command) for word in command.split()[1:]}
    assert named <= set(targets)

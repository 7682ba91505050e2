"""The order of the house: imports only ever go down, nothing heavy comes before its use, docstrings are whole."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "minivit"
FLOORS = [["__main__"], ["arguments"], ["bench"], ["report"], ["training"], ["tasks", "figures"], ["models"],
          ["layers"], ["mixers", "data", "coursework"], ["analysis", "scratch"],
          ["expect"], ["options", "checks", "draws", "files", "lessons", "wrappers"], ["__init__"]]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module] if isinstance(node, ast.ImportFrom) else (
            [alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
        for name in names:
            if name and name.split(".")[0] == "minivit":
                yield (name.split(".") + ["__init__"])[1]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    room = room_of(path)
    for other in imported_rooms(path):
        assert other == room or FLOOR[other] > FLOOR[room], f"{room} may not import {other}"


@pytest.mark.parametrize("path", sorted([*PACKAGE.rglob("*.py"), *PACKAGE.parent.glob("tools/*.py")]),
                         ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_no_text_is_read_or_written_in_the_encoding_of_the_machine(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            keywords = {keyword.arg for keyword in node.keywords}
            if name in ("read_text", "write_text") or "text" in keywords and name in ("run", "Popen", "check_output"):
                assert "encoding" in keywords, f"line {node.lineno}: {name} needs an encoding"


def modules_after(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_scratch_needs_no_torch():
    assert not {"torch", "matplotlib", "sklearn"} & modules_after("import minivit.scratch")


def test_the_command_line_imports_no_plots_and_no_scikit_learn():
    assert not {"matplotlib", "sklearn", "IPython", "torchvision"} & modules_after("import minivit.__main__")


def documented(docstring):
    """Return the names below ``Parameters`` in a docstring, or None if it has no such section."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w+\n-+$|\Z)", docstring or "", re.DOTALL | re.MULTILINE)
    return section and [name.lstrip("*") for line in re.findall(r"^\S.*$", section[1], re.MULTILINE)
                        for name in line.partition(" : ")[0].split(", ")]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_list_of_parameters_is_whole(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef):
            continue
        function = node if isinstance(node, ast.FunctionDef) else next(
            (each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None)
        if function is None or (names := documented(ast.get_docstring(node))) is None:
            continue
        takes = function.args
        wanted = {each.arg for each in (*takes.posonlyargs, *takes.args, *takes.kwonlyargs)} - {"self", "cls"}
        free = [each.arg for each in (takes.vararg, takes.kwarg) if each]  # may be described by what is in it
        assert wanted <= set(names) and (free or set(names) <= wanted), f"{node.name} takes {sorted(wanted)}"

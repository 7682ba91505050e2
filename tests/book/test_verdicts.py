"""No number in a verdict is typed: it is quoted from the paper, or it comes from a record or a count in a cell."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from minivit.report.verdicts import HOLDS, HOLDS_HERE, NOT_HERE, UNDECIDED, WRONG
from tools.budget import DECLARED
from tools.notebooks import notebook_paths
from tools.paths import ROOT

VERDICTS = [path for path in notebook_paths(ROOT) if path.stem == "verdict"]
PLACE = r"[A-Z]?\d+[a-z]?"  # 7, 4b, S17
REFERENCE = re.compile(rf"\b(?:sections?|tables?|figures?|equations?|exercises?) {PLACE}(?:(?:, | and | to ){PLACE})*")
NAME = re.compile(r"top-\d\b|CIFAR-\d+|\{cite\}`\w+`|\]\([\w./]+\)")

verdicts = pytest.mark.parametrize("path", VERDICTS, ids=lambda path: path.parent.name)


def numbers(text: str) -> list[str]:
    """Return the numbers in a text that are neither the place of something nor part of a name."""
    return re.findall(r"(?<![A-Za-z\d])\d[\d.]*", NAME.sub("", REFERENCE.sub("", text)))


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def calls(path: Path, name: str) -> list[ast.Call]:
    tree = ast.parse("\n".join(cell.source for cell in cells(path, "code")))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name]


def typed(node: ast.AST) -> str:
    """Return the text that is typed in an expression, without what its f-strings compute."""
    if isinstance(node, ast.FormattedValue):
        return ""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return " ".join(typed(child) for child in ast.iter_child_nodes(node))


def test_each_paper_has_a_verdict():
    assert [path.parent.name for path in VERDICTS] == ["density", "less"]


@verdicts
def test_no_number_is_typed_in_the_prose(path):
    for cell in cells(path, "markdown"):
        prose = DECLARED.sub("", cell.source.partition("**References**")[0])
        assert numbers(prose) == [], prose


@verdicts
def test_no_number_is_typed_beside_the_paper_s(path):
    assert calls(path, "Claim") and calls(path, "Markdown")
    for claim in calls(path, "Claim"):
        _, derived, _, mind = claim.args  # the first quotes the paper, the third holds measurements
        assert numbers(typed(derived)) == numbers(typed(mind)) == [], typed(claim.args[0])
    for shown in calls(path, "Markdown"):
        assert numbers(typed(shown)) == [], typed(shown)


@verdicts
def test_no_verdict_on_runs_is_typed(path):
    """A word is typed where the rule is told; in a cell it comes from the rule."""
    for claim in calls(path, "Claim"):
        assert not any(f"*{word}*" in typed(claim) for word in (HOLDS, HOLDS_HERE, NOT_HERE, UNDECIDED, WRONG))
        assert not claim.args[2:3] or not isinstance(claim.args[2], ast.Constant)


def test_numbers_are_told_from_places_and_names():
    assert numbers("table 4b, tables 5 to 7, S12 and S17; top-1 on CIFAR-100 and ADE20K, equation 6") == []
    assert numbers("0.67 points, n = 4, p=0.1 (figure 7a)") == ["0.67", "4", "0.1"]

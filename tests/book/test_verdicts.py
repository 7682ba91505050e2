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
TABLE = re.compile(r"\btables? ((?:S?\d+[a-z]?(?:, | and )?)+)")
APPENDIX = ROOT / "book/appendix/papers_and_code.md"

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


def chapters(path: Path) -> list[Path]:
    """Return the other pages of a verdict's part."""
    return [other for other in notebook_paths(ROOT) if other.parent == path.parent and other != path]


def quoted(text: str) -> set[float]:
    return {float(number.rstrip(".")) for number in numbers(text) if number.rstrip(".").count(".") < 2}


def constants(node: ast.AST) -> set[float]:
    return {x.value for x in ast.walk(node) if isinstance(x, ast.Constant) and type(x.value) in (int, float)}


def printed_tables(path: Path) -> dict[str, set[float]]:
    """Return the paper's numbers by table, as the chapters beside a verdict type them."""
    tables: dict[str, set[float]] = {}
    for chapter in chapters(path):
        for node in ast.walk(ast.parse("\n".join(cell.source for cell in cells(chapter, "code")))):
            name = getattr(node.targets[0], "id", "") if isinstance(node, ast.Assign) else ""
            if name == "QUOTED":
                for key, value in zip(node.value.keys, node.value.values, strict=True):
                    tables[key.value.removeprefix("Table ")] = constants(value)
            elif name == "ELSEWHERE":  # rows, which begin with the table
                for row in (x for x in node.value.elts if isinstance(x, ast.Tuple)):
                    tables.setdefault(row.elts[0].value, set()).update(constants(row))
            elif name == "OTHER_MODELS":
                tables |= dict.fromkeys(("11", "S14"), constants(node.value))
            elif re.fullmatch(r"TABLE_\w+", name):
                tables[name.removeprefix("TABLE_")] = constants(node.value)
    return tables


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
        for said in claim.args[1:]:  # the first quotes the paper
            assert numbers(typed(said)) == [], typed(claim.args[0])
    for shown in calls(path, "Markdown"):
        assert numbers(typed(shown)) == [], typed(shown)


@verdicts
def test_what_an_f_string_shows_was_computed(path):
    """``f"{0.67:+.2f}"`` types a number too."""
    for call in calls(path, "Claim") + calls(path, "Markdown"):
        for shown in (node for node in ast.walk(call) if isinstance(node, ast.FormattedValue)):
            assert any(isinstance(node, ast.Name) for node in ast.walk(shown.value)), ast.unparse(shown)
            assert not [x for x in constants(shown.value) if isinstance(x, float)], ast.unparse(shown)


@verdicts
def test_differences_are_read_from_records(path):
    """Only ``of_pairs`` makes measurements, and it reads folders of ``results/``."""
    code = "\n".join(cell.source for cell in cells(path, "code"))
    assert calls(path, "of_pairs") and not calls(path, "Measured")
    assert not re.search(r"\bnp\.(array|asarray|full|linspace)\(\s*[\[\d]", code)


@verdicts
def test_a_quoted_number_stands_in_the_table_that_is_named(path):
    """So a slip in the first column is found: the chapters beside a verdict have the paper's tables as printed."""
    tables = printed_tables(path)
    contradictions = APPENDIX.read_text(encoding="utf-8").partition("## Where the paper on CB contradicts itself")[2]
    contradictions = contradictions.partition("\n## ")[0]
    elsewhere = {number for chapter in chapters(path) for cell in nbformat.read(chapter, as_version=4).cells
                 for number in quoted(cell.source)}
    for claim in calls(path, "Claim"):
        text = typed(claim.args[0])
        named = [place for places in TABLE.findall(text) for place in re.split(", | and ", places) if place]
        found = set().union(*(tables.get(place, ()) for place in named), quoted(contradictions)) if named else elsewhere
        assert quoted(text) <= found, f"{quoted(text) - found} not in {named or 'any chapter'}: {text}"


@verdicts
def test_no_verdict_on_runs_is_typed(path):
    """A word is typed where the rule is told; in a cell it comes from the rule."""
    for claim in calls(path, "Claim"):
        assert not any(f"*{word}*" in typed(claim) for word in (HOLDS, HOLDS_HERE, NOT_HERE, UNDECIDED, WRONG))
        assert not claim.args[2:3] or not isinstance(claim.args[2], ast.Constant)


def test_numbers_are_told_from_places_and_names():
    assert numbers("table 4b, tables 5 to 7, S12 and S17; top-1 on CIFAR-100 and ADE20K, equation 6") == []
    assert numbers("0.67 points, n = 4, p=0.1 (figure 7a)") == ["0.67", "4", "0.1"]

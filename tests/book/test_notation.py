"""A letter has one meaning in the book: the page *Notation* says which, and why a few letters have two."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tools.notebooks import notebook_paths
from tools.paths import ROOT

PAGE = (ROOT / "book" / "notation.md").read_text(encoding="utf-8")
NAMES = {path: name for name, path in re.findall(r"\*(\w+)\*\s+(?:is\s+)?\[[^\]]+\]\(([\w/]+\.ipynb)\)", PAGE)}
GREEK = set("alpha beta gamma delta epsilon varepsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi varphi"
            " chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell".split())
WORD = re.compile(r"\\(?:text|operatorname|mathrm|tag|begin|end|mathbb|mathcal)\*?\{[^{}]*\}")
INDEX = re.compile(r"_(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\\[A-Za-z]+|\w)")
SYMBOL = re.compile(r"\\(?:mathbf|boldsymbol)\s*\{?\\?(1|[A-Za-z]+)|\\([A-Za-z]+)|([A-Za-z])")
PROOF = re.compile(r"^:::\{admonition\}.*?^:::$", re.MULTILINE | re.DOTALL)  # what is folded defines its own letters


def tables(*first: str) -> Iterator[list[str]]:
    """Return the heading and the cells of each row of the tables whose first column has one of these headings."""
    for table in re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE):
        heading, _, *rows = ([cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines())
        if heading[0] in first:
            yield from ([heading[-1], *row] for row in rows)


def letters(formula: str) -> list[str]:
    """Return the letters of a formula in order, without words and indices."""
    return [f"bold {bold}" if bold else command or letter
            for bold, command, letter in SYMBOL.findall(INDEX.sub("", WORD.sub("", formula)))
            if bold or letter or command in GREEK]


def declared(cell: str) -> set[str]:
    """Return the letters that a cell declares. One with an accent or a prime is another one of the same kind."""
    parts = [part for formula in re.findall(r"\$([^$]+)\$", cell) for part in re.split(r",\s*(?![^{(]*[})])", formula)]
    return {letters(part)[0] for part in parts if not re.search(r"^\\(?:bar|hat|tilde)\b|'", part) and letters(part)}


def used_in(heading: str, cells: list[str], name: str) -> bool:
    """Say whether a row holds for a chapter: its last cell may say "only in", or stand in a column "In"."""
    only = re.search(r"only in (.*)", cells[-1])
    return name in re.findall(r"\w+", only[1] if only else cells[-1]) if only or heading == "In" else True


def test_each_letter_has_one_meaning_unless_the_page_says_why_it_has_two():
    rows = Counter(letter for _, cell, *_ in tables("Symbol") for letter in declared(cell))
    assert len(rows) > 80, "the tables of the page were not found"
    twice = {letter for letter, count in rows.items() if count > 1}
    excused = [(letter, why) for _, cell, _, why in tables("Letter") for letter in declared(cell)]
    assert twice - {letter for letter, _ in excused} == set(), "a second meaning: choose another letter, or say why not"
    assert sorted(letter for letter, _ in excused) == sorted(twice), "a letter with one meaning needs no excuse"
    assert [letter for letter, why in excused if len(why.split()) < 5] == [], "no reason"


@pytest.mark.parametrize("path", notebook_paths(ROOT), ids=lambda path: path.stem)
def test_each_letter_of_a_numbered_equation_is_on_the_page(path: Path):
    """So a new meaning gets a row, where a second one of a letter is found. Rows and entries belong to their matrix."""
    name = NAMES.get(path.relative_to(ROOT / "book").as_posix(), "none of the chapters")
    known = {letter for heading, *cells in tables("Symbol", "Index", "Operation") if used_in(heading, cells, name)
             for letter in declared(cells[0])} | {"e"}
    arrays = {letter.removeprefix("bold ").lower() for letter in known if letter.startswith("bold ")}
    sources = (cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    for equation in re.findall(r"\$\$(.+?)\$\$", PROOF.sub("", "\n".join(sources)), re.DOTALL):
        entries = letters(" ".join(re.findall(r"\\?[A-Za-z]+(?=_)", equation)))
        unknown = [letter for letter in letters(equation) if letter not in known and not (
            letter.removeprefix("bold ").lower() in arrays and (letter in entries or letter.startswith("bold ")))]
        assert "\\tag" not in equation or not unknown, f"{unknown} of {equation.strip()}: write it in book/notation.md"

"""A letter has one meaning in the book, and the page *Notation* says which; the few with two stand there with a reason."""

import re
from collections import Counter
from collections.abc import Iterator

from tools.paths import ROOT

PAGE = (ROOT / "book" / "notation.md").read_text(encoding="utf-8")
ACCENTS = r"\\(?:bar|hat|tilde)\b"
BOLD = r"\\(?:mathbf|boldsymbol)\s*\{\\?(\w+)\}"
LETTER = re.compile(rf"^\s*(?:{BOLD}|\\([A-Za-z]+)|([A-Za-z]))")


def tables(first: str) -> Iterator[list[str]]:
    """Return the cells of each row of each table whose first column has this heading."""
    for table in re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE):
        heading, _, *rows = ([cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines())
        if heading[0].strip() == first:
            yield from rows


def letters(cell: str) -> set[str]:
    """Return the letters that a cell declares: not those after "with", nor those with an accent or a prime."""
    found = set()
    for symbol in re.findall(r"(?<!with )\$([^$]+)\$", cell):
        for part in re.split(r",\s*(?![^{(]*[})])", symbol):
            bold, greek, italic = LETTER.match(re.sub(ACCENTS, r"\\accent", part)).groups()
            if greek != "accent" and not re.search(r"'(?:$|,)", part):
                found.add(f"bold {bold}" if bold else greek or italic)
    return found


def test_each_letter_has_one_meaning_unless_the_page_says_why_it_has_two():
    rows = Counter(letter for cell, *_ in tables("Symbol") for letter in letters(cell))
    twice = {letter for letter, count in rows.items() if count > 1}
    excused = [(letter, why) for cell, _, why in tables("Letter") for letter in letters(cell)]
    assert len(rows) > 60, "the tables of the page were not found"
    assert twice - {letter for letter, _ in excused} == set(), "a second meaning: choose another letter, or say why not"
    assert sorted(letter for letter, _ in excused) == sorted(twice), "a letter that has one meaning needs no excuse"
    assert [letter for letter, why in excused if len(why.split()) < 5] == [], "no reason"

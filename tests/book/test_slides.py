"""Slides of a chapter cover what its lesson does together, and no more than the last row can read."""

import re

import nbformat
import pytest

from tools.notebooks import tags
from tools.paths import ROOT
from tools.slides.deck import ANSWER, lesson_numbers, slide_type, slides_of

LESSONS = {path.rpartition("/")[2].removesuffix(".ipynb"): (path, number) for path, number in lesson_numbers().items()}
NOTEBOOKS = {name: nbformat.read(ROOT / path, as_version=4) for name, (path, _) in LESSONS.items()}
PLANS = re.split(r"^## Lesson \d+\. ", (ROOT / "course/lessons.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
NOT_TAUGHT = {"Quick questions", "Exercises", "For the instructor"}  # sections that no lesson needs to show as a whole

FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]+\$", re.DOTALL)
MARKS = re.compile(r"<[^>]*>|[*`#>|-]+")

pytestmark = pytest.mark.parametrize("name", LESSONS)


def sections(notebook):
    """Return the cells of each section by its title; a cell belongs to each section that has text in it."""
    found, title = {}, None
    for cell in notebook.cells:
        if title:
            found[title].append(cell)
        if cell.cell_type == "markdown":
            for title in re.findall(r"^## (.+)$", cell.source, re.MULTILINE):
                found[title] = [cell]
    return found


def for_home(number):
    """Return the beginnings of the titles that a lesson's plan leaves for home."""
    prose = " ".join(PLANS[number].split())
    return [title.rstrip(".") for sentence in re.split(r"(?<=[.?]) ", prose) if "for home" in sentence
            for title in re.findall(r"\*([^*]+)\*", sentence)]


def read(slide):
    """Return the text of a slide that was written for it, without heading, formulas, code and tables."""
    text = "\n".join(cell.source for cell in slide.cells if cell.cell_type == "markdown")
    text = re.sub(r"^(#.*|\|.*)$", "", FORMULA.sub(" ", FENCED.sub("", text)), flags=re.MULTILINE)
    return MARKS.sub(" ", text).split()


def test_every_section_of_the_lesson_is_on_a_slide(name):
    notebook, home = NOTEBOOKS[name], for_home(LESSONS[name][1])
    missing = [title for title, cells in sections(notebook).items()
               if title not in NOT_TAUGHT and "second-reading" not in tags(cells[0])
               and not any(title.startswith(start) for start in home)
               and not any(slide_type(cell) in ("slide", "fragment", "-") for cell in cells)]
    assert missing == []


def test_no_slide_shows_what_is_for_a_second_reading_or_for_the_instructor(name):
    for cell in NOTEBOOKS[name].cells:
        if slide_type(cell):
            assert not {"second-reading", "instructor", "solution"} & tags(cell)


def test_a_deck_is_a_lesson_long_and_each_slide_says_one_thing(name):
    slides = slides_of(NOTEBOOKS[name], LESSONS[name][1])
    rows = [bands[1:] for cell in NOTEBOOKS[name].cells if (bands := cell.metadata.get("slide_bands"))]
    assert 12 <= len(slides) - sum(map(len, rows)) <= 26  # more rows of one figure take no more time than one
    for number, slide in enumerate(slides[1:], start=2):
        first = slide.cells[0]
        assert re.match(r"(<p class=\"kicker\">.*?</p>\s+)?## .", first.source), f"slide {number} has no heading"
        if "question" not in first.id:
            assert len(read(slide)) <= 40, f"slide {number} has {len(read(slide))} words"
        for cell in slide.cells:
            lines = cell.source.splitlines()
            codes = FENCED.findall(cell.source) if cell.cell_type == "markdown" else [
                cell.source] if not cell.metadata["transient"]["remove_source"] else []
            for code in codes:
                assert code.count("\n") < 13 and max(map(len, code.splitlines())) <= 80, f"slide {number}: long code"
            table = [line for line in lines if line.startswith("|")] if cell.cell_type == "markdown" else []
            assert len(table) <= 8 and all(line.count("|") <= 5 for line in table), f"slide {number}: a large table"


def test_the_speaker_is_told_minutes_and_when_to_let_them_vote(name):
    slides = slides_of(NOTEBOOKS[name], LESSONS[name][1])
    notes = [" ".join(slide.notes) for slide in slides]
    assert [number for number, note in enumerate(notes[1:], start=2) if not note.strip()] == []
    assert sum(bool(re.search(r"\d min|[Mm]inutes? \d", note)) for note in notes) >= 5
    assert any(re.search(r"\b[Vv]ote", note) for note in notes)


def test_quick_questions_have_their_answers_on_slides_of_their_own(name):
    for cell in NOTEBOOKS[name].cells:
        if slide_type(cell) == "slide" and ANSWER.search(cell.source):
            assert "slide" not in cell.metadata

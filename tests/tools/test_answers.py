"""The answer booklet has every solution, and nobody but a teacher gets it."""

import ast
import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import answers
from tools.editions import chapters, learner_edition
from tools.notebooks import in_order, sections, tags
from tools.paths import ROOT
from tools.stubs import without_markers

NOTEBOOKS = {path: nbformat.read(path, as_version=4) for _, path in in_order()}
NUMBER = {path: number for number, path in in_order()}
SPACE = re.compile(r"\s+")


def words(text: str) -> str:
    return SPACE.sub("", text)


@pytest.fixture(scope="module")
def booklet():
    return BeautifulSoup("\n".join(answers.body()), "html.parser")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_solution_of_a_chapter_is_in_and_named_as_in_the_book(path):
    notebook = NOTEBOOKS[path]
    shown = BeautifulSoup(answers.chapter(NUMBER[path], notebook), "html.parser")
    text = words(shown.text)
    solutions = [cell for cell in notebook.cells if "solution" in tags(cell) and cell.cell_type == "code"]
    for cell in solutions:
        assert words(without_markers(cell.source)) in text, cell.source
    titles = [title.text for title in shown("h3")]
    for heading in sections(notebook, r"Exercise \d"):
        assert f"Chapter {NUMBER[path]}, e{heading[1:]}" in titles
    for heading in sections(notebook, r"Question \d"):
        assert f"Check yourself, q{heading[1:]}" in titles
    assert bool(text) == bool(solutions)


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_hints_checks_and_notes_for_teachers_are_not_in(path):
    notebook = NOTEBOOKS[path]
    shown = words(BeautifulSoup(answers.chapter(NUMBER[path], notebook), "html.parser").text)
    assert "Firsthint" not in shown and "Fortheinstructor" not in shown and "Misconceptions." not in shown
    for cell in notebook.cells:
        if "check" in tags(cell) and cell.source.count("\n") > 1:
            assert words(cell.source) not in shown


def test_every_quick_question_has_its_right_answer(booklet):
    asked = sum(len(re.findall(r"^\*\*\d+\.\*\* ", cell.source, re.MULTILINE)) for notebook in NOTEBOOKS.values()
                for cell in notebook.cells if "## Quick questions" in cell.source)
    given = [strong for title in booklet.find_all("h3", string=re.compile("quick questions"))
             for paragraph in title.find_next_siblings() if paragraph.name == "p"
             and paragraph.find_previous_sibling("h3") is title
             for strong in paragraph("strong") if re.match(r"[A-E]\. ", strong.text)]
    assert len(given) == asked > 50
    assert "Not quite" not in booklet.text


def test_a_question_without_one_right_answer_is_an_error_that_names_it():
    source = ('## Quick questions\n\n**1.** Why?\n\n<details class="answer"><summary>So</summary>\n\nNot quite: no.\n\n'
              "</details>")
    with pytest.raises(ValueError, match="Chapter 3 has the quick question 1 with 0 answers"):
        answers.quiz("Chapter 3", source)


def test_what_a_check_printed_stays_if_it_says_more_than_right():
    def check(text):
        return new_code_cell("print(1)", outputs=[nbformat.v4.new_output("stream", name="stdout", text=text)])

    assert answers.passed(check("Exercise 3: right\n")) == ""
    assert "88 %" in answers.passed(check("Exercise 3: right, 88 %\n"))


def test_an_assignment_has_its_solutions_and_none_of_its_tests():
    def cell(source, solution, grade, kind=new_code_cell):
        return kind(source, metadata={"nbgrader": {"solution": solution, "grade": grade}})

    notebook = new_notebook(cells=[
        new_markdown_cell("# All of it\n\nWrite your id."), new_code_cell("STUDENT = 'your id'"),
        new_markdown_cell("## Part 1. Halve (2 marks)\n\nWrite it."),
        cell("def halve(x):\n    ### BEGIN SOLUTION\n    return x / 2\n    ### END SOLUTION", True, False),
        cell("assert halve(4) == 2\n### BEGIN HIDDEN TESTS\nassert halve(6) == 3\n### END HIDDEN TESTS", False, True),
        cell("### BEGIN SOLUTION\nBecause $2 = 1 + 1$.\n### END SOLUTION", True, True, new_markdown_cell),
        new_markdown_cell("## Hand it in\n\nWith your id.")])
    shown = BeautifulSoup(answers.assignment(4, notebook), "html.parser")
    assert [title.text for title in shown(["h2", "h3"])] == [
        "Assignment 4. All of it", "Assignment 4, part 1. Halve (2 marks)"]
    assert "return x / 2" in shown.text and "Because" in shown.text
    assert not [word for word in ("assert", "HIDDEN", "SOLUTION", "your id", "Hand it in") if word in shown.text]


def test_every_solution_of_every_assignment_is_in(booklet):
    text = words(booklet.text)
    for path in answers.assignments():
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution"):
                assert words(without_markers(cell.source)) in text, path.stem
    assert "HIDDENTESTS" not in text


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_the_learners_edition_has_no_solution(path):
    notebook = NOTEBOOKS[path]
    learner = "\n".join(cell.source for cell in learner_edition(notebook).cells)
    for cell in notebook.cells:
        for solution in re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", cell.source, re.DOTALL):
            lines = [line.strip() for line in solution.splitlines() if len(line.strip()) > 25]
            assert not lines or not all(line in learner for line in lines), solution


def test_nothing_that_is_for_learners_knows_the_booklet():
    for name in ("editions", "work", "offline", "lite", "book", "epub"):
        tree = ast.parse((ROOT / "tools" / f"{name}.py").read_text(encoding="utf-8"))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {"tools.answers", "tools.guide", "tools.document"} & imported, name

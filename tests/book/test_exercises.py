"""What every exercise and every quick question owes its reader, from the notebooks as they stand in the repository.

That a check passes on its solution is seen when the chapter is executed. Here each check meets the open exercise of the
learner's edition. To save time, only those statements of a chapter are run that the exercise's names come from.
"""

import ast
import re
import warnings
from pathlib import Path

import nbformat
import pytest

from tools.editions import learner_edition
from tools.notebooks import notebook_paths, tags
from tools.paths import ROOT
from tools.stubs import OPEN, parse, uses, wanted_before

BOOK = ROOT / "book"
CHAPTERS = [path for path in notebook_paths(ROOT) if path.stem not in ("check_yourself", "verdict")]

HEADING = re.compile(r"^### Exercise (\d+)\. .*?(★+)? \((?:\d+ minutes?|open-ended)\)$", re.MULTILINE)
HINTS = re.compile(r"^:::\{admonition\} (First|Second) hint\n:class: hint dropdown\n\S(?:.|\n)*?\n:::$", re.MULTILINE)
QUESTION = re.compile(r"^\*\*(\d)\.\*\* ", re.MULTILINE)
ANSWER = re.compile(r'<details class="answer"><summary>([^<$\n]+)</summary>\n\n(.+?)\n\n</details>', re.DOTALL)

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.relative_to(BOOK).as_posix())


def exercises(notebook: nbformat.NotebookNode) -> list[list[int]]:
    """Return the indices of the cells of each exercise, from its heading to its check."""
    found = []
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown" and re.search(r"^#{2,3} ", cell.source, re.MULTILINE):
            inside = bool(re.search(r"^### Exercise", cell.source, re.MULTILINE))
            found += [[]] if inside else []
        if found and inside:
            found[-1].append(i)
    return found


def text(notebook: nbformat.NotebookNode, cells: list[int]) -> str:
    return "\n\n".join(notebook.cells[i].source for i in cells if notebook.cells[i].cell_type == "markdown")


@chapters
def test_exercises_ascend_in_difficulty_and_say_how_long_they_take(path):
    notebook = nbformat.read(path, as_version=4)
    headings = [HEADING.search(text(notebook, cells)) for cells in exercises(notebook)]
    assert all(headings), "### Exercise N. Title ★ (10 minutes)"
    assert [int(heading[1]) for heading in headings] == list(range(1, len(headings) + 1))
    stars = [len(heading[2] or "") for heading in headings]
    assert stars == sorted(stars) and set(stars) == {1, 2, 3}


@chapters
def test_an_exercise_has_two_hints(path):
    notebook = nbformat.read(path, as_version=4)
    for cells in exercises(notebook):
        assert HINTS.findall(text(notebook, cells)) == ["First", "Second"], text(notebook, cells)[:60]


def is_plain(node: ast.AST, names: set[str]) -> bool:
    """Return whether an expression is made of numbers, words and these names alone."""
    kinds = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.Tuple, ast.List, ast.operator, ast.unaryop, ast.expr_context)
    return all(isinstance(part, kinds) or isinstance(part, ast.Name) and part.id in names for part in ast.walk(node))


def compared(node: ast.AST) -> list[ast.AST]:
    """Return what a piece of code says to be equal: ``a == b``, ``isclose(a, b)`` or ``abs(a - b)``."""
    if isinstance(node, ast.Compare) and all(isinstance(op, ast.Eq) for op in node.ops):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Call):
        function, inner = ast.unparse(node.func), node.args[0] if node.args else None
        if function.endswith(("isclose", "allclose", "approx")):
            return node.args[:2]
        if function.endswith("abs") and isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub):
            return [inner.left, inner.right]
    return []


def gives_away(check: str, open_names: set[str]) -> list[str]:
    """Return the comparisons of a check in which an answer stands beside what it should be.

    A function at given numbers is an example, which doesn't give it away; at variables it is its formula.
    """
    found = []
    for node in ast.walk(parse(check)):
        for side in (sides := compared(node)):
            is_call = isinstance(side, ast.Call) and isinstance(side.func, ast.Name)
            if (side.func.id if is_call else getattr(side, "id", None)) not in open_names:
                continue
            told = {arg.id for arg in side.args if isinstance(arg, ast.Name)} if is_call else set()
            for other in sides:
                is_formula = any(isinstance(part, ast.Name) for part in ast.walk(other))
                if other is not side and is_plain(other, told) and (is_formula or not is_call or not side.args):
                    found.append(ast.unparse(node))
    return found


@chapters
def test_a_check_does_not_give_the_answer_away(path):
    notebook = nbformat.read(path, as_version=4)
    for cells in exercises(notebook):
        (solution,), (check,) = ([notebook.cells[i].source for i in cells if tag in tags(notebook.cells[i])]
                                 for tag in ("solution", "check"))
        open_names = {name for name, is_stored in uses(parse(solution)) if is_stored}
        assert gives_away(check, open_names) == []


@pytest.mark.parametrize("check", [
    "assert n == 450", "assert abs(n - 450) < 1", "assert np.isclose(n, 3 / 4)", "assert np.allclose([1, 2], n)",
    "assert f(b, c) == 8 * c * (b + 1)", "assert f() == 2", "assert abs(f(b) - 2 * b) < 1e-9",
])
def test_a_check_that_gives_the_answer_away_is_found(check):
    assert gives_away(check, {"n", "f"})


@pytest.mark.parametrize("check", [
    "assert n > 0", "assert n == len(rows)", "assert np.isclose(n * heads, 768)", "assert f(3) == 7",
    "assert f(rows) == 7", "assert digest(n, 3) == '0123abcd'", "assert n.shape == (2, 3)", "assert f(b) == other(b)",
    "assert n is not None",
])
def test_a_check_by_a_property_an_example_or_a_digest_is_let_pass(check):
    assert gives_away(check, {"n", "f"}) == []


@chapters
def test_quick_questions_have_one_right_answer_and_explain_all(path):
    cells = nbformat.read(path, as_version=4).cells
    (quiz,) = (i for i, cell in enumerate(cells) if cell.source.startswith("## Quick questions\n\n"))
    assert re.search("^## Exercises$|^### Exercise 1", cells[quiz + 1].source, re.MULTILINE)
    numbers = QUESTION.findall(cells[quiz].source)
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)] and 3 <= len(numbers) <= 5
    places = []
    for question in QUESTION.split(cells[quiz].source)[2::2]:
        answers = ANSWER.findall(question)
        assert 3 <= len(answers) <= 4 and question.count("<details") == len(answers), question
        right = [i for i, (_, why) in enumerate(answers) if why.startswith("Right:")]
        assert len(right) == 1, question
        places += right
    assert len(set(places)) > 1, "the right answers are all at the same place"


@chapters
def test_notes_for_the_instructor_name_every_exercise(path):
    notebook = nbformat.read(path, as_version=4)
    (notes,) = (cell for cell in notebook.cells if "instructor" in tags(cell))
    assert notes.source.startswith("## For the instructor\n\n") and "remove-cell" in tags(notes)
    assert all(f"**{part}**" in notes.source for part in ("Time.", "Misconceptions.", "Marking"))
    listed = {number for line in re.findall(r"^- \*Exercises? ([^*]+)\*", notes.source, re.MULTILINE)
              for number in re.findall(r"\d+", line)}
    assert listed == {str(n) for n in range(1, len(exercises(notebook)) + 1)}
    assert notes.source not in {cell.source for cell in learner_edition(notebook).cells}


@pytest.mark.parametrize("path", notebook_paths(ROOT), ids=lambda path: path.relative_to(BOOK).as_posix())
def test_up_to_the_first_open_exercise_the_learner_runs_what_the_chapter_runs(path):
    notebook = nbformat.read(path, as_version=4)
    ours, learners = ([cell for cell in each.cells if cell.cell_type == "code"]
                      for each in (notebook, learner_edition(notebook)))
    first = next((i for i, cell in enumerate(ours) if "solution" in tags(cell)), len(ours))
    assert [cell.source for cell in learners[:first]] == [cell.source for cell in ours[:first]]
    assert all(OPEN in cell.source or cell.source == "# your code" for cell in learners if "solution" in tags(cell))


def changed(statement: ast.stmt) -> set[str]:
    """Return the names that a statement gives a value, or whose value it changes: ``x[0] = 1``, ``x.append(1)``."""
    names = {name for name, is_stored in uses(statement) if is_stored}
    for part in ast.walk(statement):
        fills = isinstance(part, ast.Attribute) and part.attr in ("append", "extend", "update")
        if isinstance(part, ast.Subscript | ast.Attribute) and (fills or isinstance(part.ctx, ast.Store)):
            names |= {part.value.id} if isinstance(part.value, ast.Name) else set()
    return names


def where_names_come_from(sources: list[str], code: str) -> str:
    """Return the statements of earlier cells that give the names that some code needs."""
    wanted, kept = wanted_before(code, set()), []
    for statement in reversed([statement for source in sources for statement in parse(source).body]):
        if changed(statement) & wanted:
            kept.append(ast.unparse(statement))
            wanted = wanted_before(kept[-1], wanted)
    return "\n".join(reversed(kept))


@chapters
def test_a_check_tells_what_is_still_to_do(path: Path, monkeypatch):
    monkeypatch.chdir(path.parent)
    notebook = learner_edition(nbformat.read(path, as_version=4))
    for number, cells in enumerate(exercises(notebook), start=1):
        code = [i for i in cells if notebook.cells[i].cell_type == "code"]
        *stub, check = (notebook.cells[i].source for i in code)
        assert "check" in tags(notebook.cells[code[-1]])
        earlier = [cell.source for cell in notebook.cells[:code[0]] if cell.cell_type == "code"]
        namespace = {"__name__": "__main__"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for source in [where_names_come_from(earlier, "\n".join([*stub, check])), *stub]:
                exec(compile(source, f"exercise {number}", "exec"), namespace)
            with pytest.raises(AssertionError) as error:
                exec(compile(check, f"check of exercise {number}", "exec"), namespace)
        assert len(str(error.value)) >= 20, f"exercise {number}: {error.value!r}"

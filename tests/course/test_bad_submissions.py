"""What else is handed in: it gets a clear word, costs no mark by accident, and spoils nobody else's marks."""

import argparse
import json
import os
import shutil
from datetime import UTC, datetime

import pytest
from nbformat import NotebookNode

from minivit.coursework import own_numbers
from tests.course.test_round_trip import fill_in, grade, grade_id, handed_in, marks, save, solutions_of
from tools.assignments import names, released
from tools.grading import Grading, read_times
from tools.grading import grade as run_tool
from tools.marks import read_by_hand
from tools.submissions import find

NAME = "softmax_jacobian"
ALL = {cell.metadata.nbgrader.grade_id for cell in released(NAME).cells
       if grade_id(cell) and grade_id(cell).startswith("test_")}
LIMIT_S = 6  # of the clock

LOOP = "import time\n\nwhile True:\n    time.sleep(1)"
STUBBORN = """\
import time

while True:
    try:
        time.sleep(1000)
    except BaseException:
        pass
"""


def bare(notebook):
    """Return what a program may leave of a notebook: no ids, no metadata, an older format."""
    cells = [{"cell_type": cell.cell_type, "source": cell.source.splitlines(keepends=True)} for cell in notebook.cells]
    return {"cells": cells, "metadata": {"colab": {"provenance": []}}, "nbformat": 4, "nbformat_minor": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Submissions with something wrong in each."""
    folder, right = tmp_path_factory.mktemp("bad"), solutions_of(NAME)
    submissions = folder / "submissions"

    def add(student, answers=right, change=None, written_by=None):
        notebook = handed_in(NAME, written_by or student, answers)
        if change:
            change({grade_id(cell): cell for cell in notebook.cells if grade_id(cell)}, notebook.cells)
        save(notebook, submissions / student / f"{NAME}.ipynb")

    def syntax(cells, everything):
        cells["jacobian"].source = "def jacobian(weights, scale)\n    return weights"
        everything.remove(cells["scores_backward"])

    def touched(cells, everything):
        cells["steepest_row"].source = "def steepest_row(first, n):\n    return [1.0]"
        cells["test_steepest_row"].source = "pass"
        everything.remove(cells["test_jacobian_row"])
        everything.append(NotebookNode(cells["test_cross_entropy"], id="pasted"))
        cells["setup"].source += "\nscores = np.zeros(5)"

    def stuck(cells, everything):
        cells["half_temperature"].source = LOOP
        cells["numbers_in_jacobians"].source = STUBBORN
        cells["tokens_needed"].source = "import os\n\ndef tokens_needed(norm):\n    os._exit(1)"

    add("syntax", change=syntax)
    add("touched", change=touched)
    add("stuck", change=stuck)
    ada = own_numbers("ada", NAME)
    ada.normal(size=ada.integers(6, 10))
    count = int(ada.integers(3, 17)) * int(ada.integers(50, 400)) ** 3
    add("copied", right | {"numbers_in_jacobians": f"numbers_in_jacobians = {count}"}, written_by="ada")

    warns = {"differences": right["differences"].replace("    columns = []", "    columns = [np.log(-1.0)][:0]")}
    (submissions / "bare_my homework (2).ipynb").write_text(
        json.dumps(bare(handed_in(NAME, "BARE", right | warns))), encoding="utf-8")
    for number, answers in enumerate([right, {}]):
        path = submissions / f"twice_{number}.ipynb"
        path.write_text(json.dumps(bare(handed_in(NAME, "twice", answers))), encoding="utf-8")
        os.utime(path, (2_000_000_000 - number, 2_000_000_000 - number))
    (submissions / "letter").mkdir()
    (submissions / "letter" / "answers.docx").write_bytes(b"PK\x03\x04")
    (submissions / "cut").mkdir()
    (submissions / "cut" / f"{NAME}.ipynb").write_text('{"cells": [{"cell_type":', encoding="utf-8")
    (submissions / "nothing").mkdir()
    (submissions / "foreign.ipynb").write_text(
        json.dumps(bare(released(NAME)) | {"cells": [{"cell_type": "code", "source": "1 + 1"}]}), encoding="utf-8")
    for other in names():
        if other != NAME:
            save(released(other), submissions / f"by-mistake-{other}" / f"{NAME}.ipynb")
    grade(NAME, submissions, folder / "grading", "--limit", str(LIMIT_S))
    return folder


@pytest.fixture(scope="module")
def rows(folder):
    return marks(folder / "grading", NAME)


def lost(row):
    return {part for part in ALL if float(row[part]) == 0}


def test_other_names_and_lost_metadata_cost_nothing_and_neither_does_a_warning(rows):
    assert lost(rows["bare"]) == set()
    assert rows["bare"]["file"] == "bare_my homework (2).ipynb" and rows["bare"]["remarks"] == ""


def test_a_syntax_error_and_a_missing_answer_cost_their_own_tests_only(rows):
    assert lost(rows["syntax"]) == {"test_jacobian_row", "test_jacobian_stack", "test_scores_backward",
                                    "test_scores_backward_memory"}
    assert "the answer cell scores_backward is missing" in rows["syntax"]["remarks"]


def test_test_cells_are_those_of_the_assignment(rows):
    assert lost(rows["touched"]) == {"test_steepest_row"}
    for word in ("test cell test_steepest_row was changed", "test cell test_jacobian_row was deleted",
                 "test cell test_cross_entropy was there 2 times", "given cell setup was changed"):
        assert word in rows["touched"]["remarks"]


def test_a_cell_that_does_not_end_or_ends_all_costs_its_own_test_only(rows):
    assert lost(rows["stuck"]) == {"test_half_temperature", "test_numbers_in_jacobians", "test_tokens_needed"}
    for word in ("the cell half_temperature: stopped after 6 seconds",
                 "the cell numbers_in_jacobians: this cell took more than 6 seconds and couldn't be stopped",
                 "the cell test_tokens_needed: this cell ended the whole program"):
        assert word in rows["stuck"]["remarks"]


def test_a_copied_number_is_not_the_students_own(rows):
    assert lost(rows["copied"]) == {"test_numbers_in_jacobians"}
    assert "it's of 'ada'; it ran with the numbers of copied" in rows["copied"]["remarks"]


def test_the_last_of_two_submissions_counts(rows):
    assert lost(rows["twice"]) == set()
    assert "handed in 2 times; the last counts, twice_0.ipynb, not twice_1.ipynb" in rows["twice"]["remarks"]


@pytest.mark.parametrize("student, word", [
    ("letter", "answers.docx is no notebook"), ("cut", "isn't JSON"), ("nothing", "the folder is empty"),
    ("foreign", f"has no cell of the assignment {NAME}"),
    *((f"by-mistake-{other}", f"belongs to another assignment, {other}") for other in names() if other != NAME)])
def test_what_cannot_be_graded_is_said_and_gets_no_zero(rows, student, word):
    assert rows[student]["remarks"].startswith("not graded: ") and word in rows[student]["remarks"]
    assert rows[student]["total"] == rows[student]["automatic"] == ""


def test_a_new_submission_changes_nothing_for_others_and_keeps_marks_by_hand(folder, rows, tmp_path):
    to = folder / "grading"
    ran = {path: path.stat().st_mtime_ns for path in to.glob("autograded/*/*/*.ipynb")}
    fill_in(to / "marks" / f"{NAME}_by_hand.csv", lambda student, of: of)
    answers = solutions_of(NAME) | {"claim": "Another one."}
    save(handed_in(NAME, "syntax", answers), tmp_path / "Syntax" / "again.ipynb", "2027-02-03 10:00:00 UTC")
    save(handed_in(NAME, "touched", {}), tmp_path / "touched" / "older.ipynb", "2020-02-03 10:00:00 UTC")
    grade(NAME, tmp_path, to, "--due", "2020-01-01T00:00")
    after = marks(to, NAME)
    assert after.keys() == rows.keys()
    assert ["syntax"] == [path.parts[-3] for path, time in ran.items() if path.stat().st_mtime_ns != time]
    assert lost(after["syntax"]) == set()
    assert float(after["syntax"]["derivation"]) == 3
    assert after["syntax"]["open"] == "claim", "the answer is another one now, so a person must look again"
    assert "older than what was graded" in after["touched"]["remarks"]
    page = (to / "feedback" / "touched" / NAME / f"{NAME}.html").read_text(encoding="utf-8")
    assert "the test cell test_steepest_row was changed; the original ran" in page
    assert "late by the file's own time" in after["bare"]["remarks"]
    assert after["touched"]["late by"] and "late by" not in after["touched"]["remarks"]
    assert float(after["touched"]["total"]) == 19 and float(after["bare"]["total"]) == 20


def test_a_list_says_when_a_notebook_was_handed_in(tmp_path):
    save(released(NAME), tmp_path / "submissions" / "Ada" / "a.ipynb")
    (tmp_path / "times.csv").write_text("student;time\nada;2027-02-05T12:00+01:00\n", encoding="utf-8")
    [submission] = find(tmp_path / "submissions", NAME, read_times(tmp_path / "times.csv"))
    assert submission.time == datetime(2027, 2, 5, 11, tzinfo=UTC) and submission.clock == "list"
    [submission] = find(tmp_path / "submissions", NAME, {})
    assert submission.time == datetime(2027, 2, 1, 17, 59, 59, tzinfo=UTC) and submission.clock == "timestamp.txt"


@pytest.mark.parametrize("stamp", [b"", b"\xff\xfe", b"yesterday", b"9" * 30])
def test_a_timestamp_that_is_none_leaves_the_files_own_time(tmp_path, stamp):
    save(released(NAME), tmp_path / "Ada" / "a.ipynb")
    (tmp_path / "Ada" / "timestamp.txt").write_bytes(stamp)
    [submission] = find(tmp_path, NAME, {})
    assert submission.clock == "file" and submission.notebook is not None


@pytest.mark.parametrize("text, word", [
    ("student,part,mark,comment\nbare,derivation,4,\n", "line 2: the mark '4' must be a number from 0 to 3"),
    ("student,part,mark,comment\nbare,derivation,two,\n", "must be a number from 0 to 3"),
    ("student;part;mark;comment\nnobody;derivation;2;\n", "'nobody' has no part 'derivation'"),
    ("student,part,comment\nbare,derivation,\n", "mark is missing"),
])
def test_a_mistake_in_a_csv_is_named(folder, rows, tmp_path, text, word):
    (tmp_path / "marks.csv").write_text(text, encoding="utf-8")
    with Grading(NAME, folder / "grading").book() as book, pytest.raises(ValueError, match=word):
        read_by_hand(tmp_path / "marks.csv", {}, book, NAME)


@pytest.mark.parametrize("change, word", [
    ({"assignment": "softmax_jacobain"}, "did you mean 'softmax_jacobian'"),
    ({"submissions": "empty"}, "there is no submission in"),
    ({"submissions": "missing"}, "is not a folder"),
    ({"submissions": "flat"}, "doesn't say whose it is; call it ID_softmax_jacobian.ipynb"),
    ({"late": "10 per day"}, "such as 10%/day"),
    ({"due": "tomorrow"}, "write it as 2027-02-01T18:00"),
])
def test_a_lecturers_mistake_is_named(tmp_path, change, word):
    (tmp_path / "empty").mkdir()
    save(released(NAME), tmp_path / "submissions" / "ada" / "a.ipynb")
    save(released(NAME), tmp_path / "flat" / f"{NAME}.ipynb")
    options = dict(assignment=NAME, submissions="submissions", to=tmp_path / "grading", due=None, late=None, times=None,
                   limit=60, early=False) | change
    options["submissions"] = tmp_path / options["submissions"]
    with pytest.raises(ValueError, match=word):
        run_tool(argparse.Namespace(**options))
    shutil.rmtree(tmp_path / "grading", ignore_errors=True)

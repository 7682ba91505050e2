"""Every assignment from its source to its marks: written for students, handed in, graded, marked by hand, told.

``tests/course/answers/NAME.py`` has, for the assignment NAME, answers that are right in another way (OTHER) and wrong
(WRONG), and the MARKS that the autograded cells must get.
"""

import csv
import importlib.util
import os
import re
import subprocess
import sys

import nbformat
import pytest
from bs4 import BeautifulSoup

from tools.assignments import by_hand, names, released, source_of, write
from tools.paths import ROOT

CPU_S = 40  # for an assignment with its solutions, besides the 5 at most that its kernel takes to start
DUE, IN_TIME, LATE = "2027-02-01T18:00+00:00", "2027-02-01 17:59:59 UTC", "2027-02-02 18:00:01 UTC"
STUDENTS = {"ada": "perfect", "bob-7": "other", "eve": "empty", "wim": "wrong", "Zoe Late": "perfect"}

assignments = pytest.mark.parametrize("name", names())


def answers_of(name):
    path = ROOT / "tests" / "course" / "answers" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"answers_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def solutions_of(name):
    notebook = nbformat.read(source_of(name), as_version=4)
    return {grade_id(cell): cell.source for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")}


def handed_in(name, student, answers):
    """Return the students' version with answers and an id in it."""
    notebook = released(name)
    for cell in notebook.cells:
        cell.source = answers.get(grade_id(cell), cell.source).strip()
        if cell.source.startswith("STUDENT"):
            cell.source = f"STUDENT = {student!r}"
    return notebook


def save(notebook, path, time=IN_TIME):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    (path.parent / "timestamp.txt").write_text(time, encoding="utf-8")


def grade(name, submissions, to, *options, fails=False):
    """Run the lecturer's command; return what it printed."""
    command = [sys.executable, "-m", "tools.grading", name, str(submissions), "--to", str(to), *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8",
                         env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"})
    assert bool(ran.returncode) == fails, ran.stdout + ran.stderr
    assert fails or not re.search("Warning|Error|Traceback", ran.stderr), ran.stderr
    return ran.stdout + ran.stderr


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def marks(to, name):
    return {row["student"]: row for row in table(to / "marks" / f"{name}.csv")}


def fill_in(path, mark):
    """Type into the CSV what a person would who marks by hand."""
    rows = table(path)
    for row in rows:
        row["mark"] = row["mark"] or str(mark(row["student"], float(row["of"])))
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module", params=names())
def graded(request, tmp_path_factory):
    """An assignment after its submissions were graded, by tests and by hand."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    answers, solutions, to = answers_of(name), solutions_of(name), folder / "grading"
    texts = {"perfect": solutions, "other": solutions | answers.OTHER, "empty": {}, "wrong": solutions | answers.WRONG}
    for student, kind in STUDENTS.items():
        time = LATE if student == "Zoe Late" else IN_TIME
        save(handed_in(name, student, texts[kind]), folder / "submissions" / student / f"{name}.ipynb", time)
    first = grade(name, folder / "submissions", to, "--due", DUE, "--late", "10%/day", "--limit", "240")
    before, ran = marks(to, name), {path: path.stat().st_mtime_ns for path in to.glob("autograded/*/*/*.ipynb")}
    fill_in(to / "marks" / f"{name}_by_hand.csv", lambda student, of: of / 2 if student == "wim" else of)
    assert f"{sum(len(row['open'].split()) for row in before.values())} answers are without a mark" in first
    (to / "autograded" / "wim" / name / f"{name}.ipynb").unlink()  # so that it runs once more
    assert "marks by hand read" in grade(name, folder / "submissions", to, "--limit", "240")
    return name, to, before, ran


def test_there_is_an_assignment():
    assert "softmax_jacobian" in names()


@assignments
def test_students_get_neither_solutions_nor_hidden_tests(name, tmp_path):
    path = write(name, tmp_path)
    text, source = path.read_text(encoding="utf-8"), nbformat.read(source_of(name), as_version=4)
    assert "SOLUTION" not in text and "HIDDEN" not in text
    release = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
    for cell in source.cells:
        for what in re.findall(r"### BEGIN \w+[ \w]*\n(.*?)### END", cell.source, re.DOTALL):
            assert what.strip() not in release
    assert (tmp_path / f"{name}.zip").stat().st_size > 0
    assert not list(path.parent.glob("*.md"))  # the rubric


@assignments
def test_it_has_twenty_marks_and_a_person_gives_some_of_them(name):
    source = nbformat.read(source_of(name), as_version=4)
    points = {grade_id(cell): cell.metadata.nbgrader.points for cell in source.cells
              if cell.metadata.get("nbgrader", {}).get("grade")}
    assert sum(points.values()) == 20
    assert 4 <= sum(points[part] for part in by_hand(name)) <= 8
    assert points.keys() - set(by_hand(name)) == answers_of(name).MARKS["perfect"].keys()
    assert not any(cell.get("outputs") for cell in source.cells), "an assignment is stored without outputs"
    assert (source_of(name).parent / "rubric.md").exists()


def test_each_gets_exactly_what_the_answers_are_worth(graded):
    name, _, before, _ = graded
    want = answers_of(name).MARKS
    for student, kind in STUDENTS.items():
        got = {part: float(before[student][part]) for part in want[kind]}
        assert got == {part: float(mark) for part, mark in want[kind].items()}, f"{student}, {kind}"
        assert float(before[student]["automatic"]) == sum(want[kind].values())
        open_parts = set() if kind == "empty" else set(by_hand(name))
        assert set(before[student]["open"].split()) == open_parts
        assert before[student]["remarks"] == ""


def test_marks_by_hand_and_the_penalty_make_the_total(graded):
    name, to, *_ = graded
    rows, wrong = marks(to, name), sum(answers_of(name).MARKS["wrong"].values())
    by_hand_total = 20 - sum(answers_of(name).MARKS["perfect"].values())
    assert {student: float(row["total"]) for student, row in rows.items()} == {
        "ada": 20, "bob-7": 20, "eve": 0, "wim": wrong + by_hand_total / 2, "Zoe Late": 16}
    assert {student: float(row["penalty"]) for student, row in rows.items()} == {
        "ada": 0, "bob-7": 0, "eve": 0, "wim": 0, "Zoe Late": 4}  # two days begun
    assert 0 < wrong < 20
    assert rows["Zoe Late"]["late by"] == "1 day, 0:00:01" and not any(row["open"] for row in rows.values())


def test_what_was_graded_is_not_run_again(graded):
    _, _, _, ran = graded
    assert len(ran) == len(STUDENTS)
    assert ["wim"] == [path.parts[-3] for path, time in ran.items() if path.stat().st_mtime_ns != time]


def test_another_run_gives_the_same_marks_and_leaves_those_by_hand(graded):
    name, to, before, _ = graded
    after = marks(to, name)["wim"]
    assert not after["open"]
    assert {part: before["wim"][part] for part in answers_of(name).MARKS["wrong"]} == {
        part: after[part] for part in answers_of(name).MARKS["wrong"]}


def test_it_takes_little_time(graded):
    name, to, *_ = graded
    assert float(marks(to, name)["ada"]["cpu s"]) < CPU_S + 5


def test_everybody_gets_feedback_with_the_marks(graded):
    name, to, *_ = graded
    for student in STUDENTS:
        page = (to / "feedback" / student / name / f"{name}.html").read_text(encoding="utf-8")
        assert f"(Score: {float(marks(to, name)[student]['total'])} / 20.0)" in page
        assert all(f">{part}</a> (Score: " in page for part in answers_of(name).MARKS["perfect"])
        assert ("<br><strong>" in page) == (STUDENTS[student] in ("empty", "wrong")), "why each test failed"
        assert '<script src="http' not in page, "the page needs no network"
    assert "Late submission penalty (Score: -4.0)" in page
    printed = ".output_area:has(> .output_stdout)"
    assert not BeautifulSoup(page, "html.parser").select(f"{printed} + {printed}"), "what a cell prints stays together"


def test_students_have_numbers_of_their_own(graded):
    name, to, *_ = graded
    printed = [
        [output for cell in nbformat.read(to / "autograded" / student / name / f"{name}.ipynb", as_version=4).cells
         for output in cell.get("outputs", [])] for student in ("ada", "Zoe Late")]
    assert printed[0] != printed[1]

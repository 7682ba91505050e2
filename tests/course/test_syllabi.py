"""The syllabi say what the chapters say, fit into their hours, and teach nothing before what it needs."""

import datetime
import re

import nbformat
import pytest

from tools.outline import ABLE, brought, numbered
from tools.paths import ROOT
from tools.syllabus import COMMAND, FIELDS, NAMES, core, page, read, taught_sessions

OBJECTIVES = read(NAMES[0]).objectives
ASSIGNED = {it for chapter in OBJECTIVES.values() for objective in chapter["objectives"]
            for it in objective.get("assignments", [])}
COURSES = {name: read(name) for name in NAMES}
syllabi = pytest.mark.parametrize("name", NAMES)


@syllabi
def test_its_tables_are_those_of_the_chapters(name):
    written = (ROOT / f"course/{name}.md").read_text(encoding="utf-8")
    assert written == page(name), f"run `{COMMAND}`"


@syllabi
def test_a_session_says_only_what_a_session_can(name):
    for session in COURSES[name].sessions:
        assert session.keys() <= FIELDS, session.keys() - FIELDS
        assert ("chapter" in session) != ("title" in session) and session["minutes"] > 0


@syllabi
def test_the_core_fits_into_its_minutes(name):
    course = COURSES[name]
    for session in course.sessions:
        if "chapter" in session:
            planned = sum(row.minutes for row in core(session, course))
            assert 45 <= planned <= session["minutes"], f"{session['chapter']}: the plan takes {planned} minutes"


@syllabi
def test_a_session_has_what_it_needs_from_earlier_ones_or_says_it_itself(name):
    seen = set()
    for session in COURSES[name].sessions:
        if chapter := session.get("chapter"):
            missing = set(OBJECTIVES[chapter]["needs"]) - seen
            assert session.get("bridge", {}).keys() == missing, f"{chapter} needs {missing}"
            seen.add(chapter)


@syllabi
def test_quizzes_and_exercises_are_of_chapters_that_were_taught(name):
    course, seen = COURSES[name], set()
    for session in course.sessions:
        for chapter, numbers in session.get("quiz", {}).items():
            assert chapter in seen, f"a quiz on {chapter} before it was taught"
            assert set(numbers) <= set(course.chapters[chapter].questions), f"{chapter}: {numbers}"
        if chapter := session.get("chapter"):
            in_class, at_home = (session.get(key, []) for key in ("in_class", "at_home"))
            assert not set(in_class) & set(at_home), f"{chapter}: an exercise in class and at home"
            assert set(in_class + at_home) <= set(course.chapters[chapter].exercises), chapter
            seen.add(chapter)


@syllabi
def test_an_assignment_is_handed_out_when_its_lessons_were_taught(name):
    course, seen = COURSES[name], set()
    taught = {it.name for it in course.taught()}
    for session in course.sessions:
        seen.add(session.get("chapter"))
        for assignment in session.get("hand_out", []):
            assert assignment in ASSIGNED, f"no objective is assessed by {assignment}"
            needed = {chapter for chapter in taught for it in OBJECTIVES[chapter]["objectives"]
                      if assignment in it.get("assignments", [])}
            assert needed <= seen, f"{assignment} asks for {needed - seen}, which comes later"


def test_six_weeks_have_two_sessions_of_ninety_minutes_each():
    sessions = COURSES["six_weeks"].sessions
    assert [it["week"] for it in sessions] == [week for week in range(1, 7) for _ in range(2)]
    assert {it["minutes"] for it in sessions} == {90}


def test_in_six_weeks_every_assignment_has_a_week_or_more_before_it_is_due():
    out, due = ({assignment: number for number, session in taught_sessions(COURSES["six_weeks"])
                 for assignment in session.get(key, [])} for key in ("hand_out", "due"))
    assert out.keys() == due.keys() == ASSIGNED
    for assignment in ASSIGNED:
        assert due[assignment] - out[assignment] >= 2, assignment


def test_in_two_days_one_thing_follows_the_other():
    for day in (1, 2):
        sessions = [it for it in COURSES["two_days"].sessions if it["day"] == day]
        times = [datetime.datetime.strptime(it["start"], "%H:%M") for it in sessions]
        for session, start, following in zip(sessions, times, times[1:], strict=False):
            assert start + datetime.timedelta(minutes=session["minutes"]) == following, session


def test_a_plan_fills_ninety_minutes_and_brings_what_the_chapter_needs():
    outlines = numbered()
    lessons = {name: it.lesson for name, it in outlines.items()}
    plans, students_bring = COURSES[NAMES[0]].plans, brought(outlines)
    assert plans.keys() == outlines.keys()
    for name, rows in plans.items():
        assert [row.start for row in rows] == [0] + [row.end for row in rows[:-1]] and rows[-1].end == 90, name
        assert students_bring[name] == {lessons[it] for it in outlines[name].needs}, f"lesson {lessons[name]}, {name}"


def test_no_plan_teaches_what_its_chapter_says_may_be_left_out():
    """A lesson is a first reading."""
    for name, outline in numbered().items():
        goals, = (cell.source for cell in nbformat.read(outline.path, as_version=4).cells if ABLE in cell.source)
        said = " ".join(re.findall(r"[^.]*\bfirst reading\b[^.]*", " ".join(goals.split())))
        assert "leave out" in said or not said, f"{name}: say what may be left out, not {said!r}"
        may = {outline.section(title) for title in re.findall(r"\*([^*]+)\*", said)}
        assert not may & {it for row in COURSES[NAMES[0]].plans[name] for it in row.sections}, name


def test_plans_name_exercises_that_exist_with_their_minutes():
    text, outlines = (ROOT / "course/lessons.md").read_text(encoding="utf-8"), list(numbered().values())
    for lesson, body in re.findall(r"^## Lesson (\d+)\. .+\n((?:(?!## ).*\n)*)", text, re.MULTILINE):
        exercises = outlines[int(lesson) - 1].exercises
        for numbers in re.findall(r"[Ee]xercises? ((?:\d+(?: \([^)]*\))?(?:, | and |(?![\d(])))+)", body):
            for number, time in re.findall(r"(\d+)(?: \((open|\d+)[^)]*\))?", numbers):
                minutes = exercises[int(number)].minutes
                assert not time or (0 if time == "open" else int(time)) == minutes, f"lesson {lesson}: {numbers}"

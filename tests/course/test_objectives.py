"""The map of objectives is true: its words are the chapters', what it names exists, and nothing is left over."""

import re
import tomllib
from graphlib import TopologicalSorter

import pytest

from tools.outline import check_yourself, numbered
from tools.paths import ROOT

MAP = tomllib.loads((ROOT / "course/objectives.toml").read_text(encoding="utf-8"))
CHAPTERS, CHECK_YOURSELF = numbered(), check_yourself()
ASSIGNMENTS = {path.name for path in (ROOT / "course/assignments").glob("*/")}
KINDS = {"exercises", "questions", "check_yourself", "assignments"}
# What a test can't see. Who can do the thing can be asked to do it.
UNTESTABLE = re.compile(r"\b(understand|know|learn|appreciate|be aware|be familiar|get to know)\b")

chapters = pytest.mark.parametrize("name", CHAPTERS)


def named(name, kind):
    """Return what a chapter's objectives name of a kind, with repeats."""
    return [it for objective in MAP[name]["objectives"] for it in objective.get(kind, [])]


def test_the_map_has_every_chapter_in_the_order_of_the_lessons():
    assert list(MAP) == list(CHAPTERS)


@chapters
def test_objectives_are_the_words_of_the_chapter_and_all_of_them(name):
    goals = CHAPTERS[name].goals
    assert goals, "the chapter has no **You will be able to**"
    for objective in MAP[name]["objectives"]:
        before, found, rest = goals.partition(objective["can"])
        assert found, f"{objective['can']!r} isn't in: {goals}"
        goals = f"{before}|{rest}"
    left_over = re.sub(r"At a second reading, you'll also|\band\b|[\s|,;.]", "", goals)
    assert not left_over, f"no objective has these words: {goals}"


@chapters
def test_objectives_can_be_tested(name):
    for objective in MAP[name]["objectives"]:
        assert not UNTESTABLE.search(objective["can"]), f"say what shows it: {objective['can']}"


@chapters
def test_every_objective_is_assessed(name):
    for objective in MAP[name]["objectives"]:
        assert objective.keys() <= KINDS | {"can"}, objective
        assert any(objective.get(kind) for kind in KINDS), f"nothing assesses: {objective['can']}"


@chapters
def test_every_exercise_and_question_exists_and_assesses_something(name):
    assert set(named(name, "exercises")) == set(CHAPTERS[name].exercises)
    assert set(named(name, "questions")) == set(CHAPTERS[name].questions)


def test_every_question_of_check_yourself_assesses_the_chapter_that_it_points_to():
    assert {(number, name) for name in MAP for number in named(name, "check_yourself")} == {
        (number, name) for number, names in CHECK_YOURSELF.items() for name in names}


def test_every_assignment_exists_and_assesses_something():
    assert {it for name in MAP for it in named(name, "assignments")} == ASSIGNMENTS


@chapters
def test_a_chapter_needs_what_it_says(name):
    assert MAP[name]["needs"] == CHAPTERS[name].needs


def test_a_chapter_comes_after_what_it_needs():
    """A circle raises an error of its own, which names it."""
    order = list(TopologicalSorter({name: MAP[name]["needs"] for name in MAP}).static_order())
    assert set(order) == set(MAP)
    for name in MAP:
        for other in MAP[name]["needs"]:
            assert CHAPTERS[other].lesson < CHAPTERS[name].lesson, f"{name} needs {other}, a later chapter"

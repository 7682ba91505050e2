import pytest

from tools.outline import Row, numbered
from tools.syllabus import Course, core, numbers_listed, rows, table

CHAPTERS = numbered()


@pytest.mark.parametrize("numbers, words", [([3], "3"), ([1, 2], "1 and 2"), ([2, 3, 4], "2 to 4"),
                                            ([1, 3, 4], "1, 3 and 4")])
def test_numbers_are_listed_as_people_do(numbers, words):
    assert numbers_listed(numbers) == words


def test_a_section_is_found_by_its_beginning_and_an_unknown_one_is_named():
    chapter = CHAPTERS["softmax_jacobian"]
    assert chapter.section("The spectrum") == "The spectrum: an eigenvalue in each gap"
    with pytest.raises(ValueError, match="softmax_jacobian: no section begins with 'The moon'"):
        chapter.section("The moon")
    with pytest.raises(ValueError, match="Exercise 2. A whole map"):
        chapter.section("Exercise ")


def course(*plan):
    return Course([], CHAPTERS, {"softmax_jacobian": list(plan)}, {})


def test_the_core_is_what_the_plan_runs_without_what_is_left_out():
    plan = [Row(0, 5, []), Row(5, 20, ["Three properties"]), Row(20, 27, ["Temperature"])]
    session = {"chapter": "softmax_jacobian", "minutes": 30}
    assert core(session, course(*plan)) == plan[1:]
    assert core(session | {"without": ["Temperature"]}, course(*plan)) == plan[1:2]


def test_what_gives_back_minutes_must_be_in_the_plan():
    session = {"chapter": "softmax_jacobian", "minutes": 30, "short": ["exercise 2", "Temperature"]}
    said = dict(rows(session, course(Row(0, 7, ["Temperature"]))))
    assert said["When time is short, leave out"] == "first exercise 2 (5 minutes), then *Temperature* (7 minutes)"
    with pytest.raises(ValueError, match="the plan doesn't run 'Temperature'"):
        dict(rows(session, course(Row(0, 7, ["Three properties"]))))


def test_a_column_that_says_nothing_is_left_out():
    assert table({"a": ["1", ""], "b": ["", ""]}) == ["| a |", "| --- |", "| 1 |", "| |"]

import pytest

from tools.marks import LateRule, read_table


@pytest.mark.parametrize("text, seconds, penalty", [
    ("10%/day", 0, 0), ("10%/day", 1, 2), ("10%/day", 86400, 2), ("10%/day", 86401, 4), ("2.5%/hour", 3 * 3600, 1.5),
    ("1/week", 86400, 1), ("0.25/hour", 3601, 0.5), ("none", 10**7, 0)])
def test_each_unit_of_time_begun_costs_as_much(text, seconds, penalty):
    assert LateRule.parse(text).penalty(seconds, max_score=20) == penalty


@pytest.mark.parametrize("text", ["", "10", "10%", "10%/month", "-1/day", "a/day", "10 %/day"])
def test_a_rule_must_be_one_of_these(text):
    with pytest.raises(ValueError, match="such as 10%/day"):
        LateRule.parse(text)


@pytest.mark.parametrize("content, message", [
    (None, "can't be read: No such file"), ("student;mark\nJörg;3\n".encode("cp1252"), "isn't in UTF-8: save it as"),
    (b"", "student, mark is missing"), (b"student\n", "mark is missing"),
    (b"student,Mark\nada,3\n", "mark is missing"),
])
def test_a_table_that_is_none_is_named(tmp_path, content, message):
    path = tmp_path / "marks.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"marks.csv .*{message}"):
        read_table(path, ["student", "mark"])


@pytest.mark.parametrize("text", ["student,mark\nJörg,3\n", "\ufeffstudent;mark\nJörg;3\n"])
def test_a_table_may_be_a_spreadsheets(tmp_path, text):
    (tmp_path / "marks.csv").write_text(text, encoding="utf-8")
    assert read_table(tmp_path / "marks.csv", ["student", "mark"]) == [{"student": "Jörg", "mark": "3"}]

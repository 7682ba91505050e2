import pytest

from minivit.coursework import GRADED, own_numbers


def test_a_student_has_the_same_numbers_again_and_nobody_else_has_them():
    def numbers(*names):
        return own_numbers(*names).integers(0, 2**31, size=5).tolist()

    assert numbers("ada-1815", "density") == numbers(" Ada-1815\n", "density")
    assert numbers("ada-1815", "density") != numbers("ada-1816", "density")
    assert numbers("ada-1815", "density") != numbers("ada-1815", "cost")


@pytest.mark.parametrize("student", ["", "  ", "your id", "Your ID", None, ...])
def test_an_id_must_be_written(student):
    with pytest.raises(ValueError, match="is no id yet"):
        own_numbers(student, "density")


def test_at_grading_the_submission_says_whose_numbers_these_are(monkeypatch):
    own = own_numbers("ada", "density").integers(10**9)
    monkeypatch.setenv(GRADED, "Ada")
    assert own_numbers("bob", "density").integers(10**9) == own
    assert own_numbers("your id", "density").integers(10**9) == own

import numpy as np
import pytest

from minivit.analysis import compare_pairs
from minivit.coursework import GRADED, own_numbers, own_study


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


@pytest.fixture(scope="module")
def studies():
    return [own_study(own_numbers(f"student {i}", "density")) for i in range(12)]


def test_a_student_has_the_same_study_again(studies):
    assert own_study(own_numbers("Student 3", "density")) == studies[3]


def test_differences_are_those_of_pairs_with_the_same_seed(studies):
    for study in studies:
        assert list(study.family) == list(study.effects)
        for (variant, measure), d in study.family.items():
            runs = study.runs[measure]
            assert len(d) == len(runs[variant]) in (6, 7, 8) and len(runs["plain"]) == 8
            np.testing.assert_allclose(d, [runs[variant][i] - runs["plain"][i] for i in sorted(runs[variant])])
    assert any(list(study.runs["density"]["amber"]) != sorted(study.runs["density"]["amber"]) for study in studies)


def test_every_study_has_an_interval_without_0_that_is_no_claim_and_some_have_an_effect(studies):
    for study in studies:
        assert any(one.low * one.high > 0 and not one.claimed for one in compare_pairs(study.family).values())
    assert {sum(effect != 0 for effect in study.effects.values()) for study in studies} == {0, 1}

import pytest

from tools.marks import LateRule


@pytest.mark.parametrize("text, seconds, penalty", [
    ("10%/day", 0, 0), ("10%/day", 1, 2), ("10%/day", 86400, 2), ("10%/day", 86401, 4), ("2.5%/hour", 3 * 3600, 1.5),
    ("1/week", 86400, 1), ("0.25/hour", 3601, 0.5), ("none", 10**7, 0)])
def test_each_unit_of_time_begun_costs_as_much(text, seconds, penalty):
    assert LateRule.parse(text).penalty(seconds, max_score=20) == penalty


@pytest.mark.parametrize("text", ["", "10", "10%", "10%/month", "-1/day", "a/day", "10 %/day"])
def test_a_rule_must_be_one_of_these(text):
    with pytest.raises(ValueError, match="such as 10%/day"):
        LateRule.parse(text)

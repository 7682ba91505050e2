import numpy as np
import pytest
from scipy.stats import ttest_1samp

from minivit.analysis import compare_pairs, holm, one_sided_p, paired_difference, paired_p


def test_by_hand():
    # The differences 1, 2 and 6 have mean 3 and variance (4 + 1 + 9) / 2 = 7; a table of t has 4.3027 for 2 degrees.
    a, b = [11.0, 22.0, 36.0], [10.0, 20.0, 30.0]
    half = 4.3027 * (7 / 3)**0.5
    assert paired_difference(a, b) == pytest.approx((3, 3 - half, 3 + half), abs=1e-3)
    assert paired_difference(b, a) == pytest.approx((-3, -3 - half, -3 + half), abs=1e-3)


def test_what_a_pair_shares_cancels():
    shared = np.array([7.0, -1000.0, 13.0, 0.5])
    d = np.array([0.1, 0.2, 0.4, 0.3])
    assert paired_difference(shared + d, shared) == pytest.approx(paired_difference(d, np.zeros(4)))


def test_95_of_100_intervals_hold_the_truth():
    draws = np.random.default_rng(0).normal(0.7, 3.0, size=(2000, 5))
    intervals = [paired_difference(row, np.zeros(5))[1:] for row in draws]
    # The share of 2000 has a standard deviation of 0.5 %.
    assert np.mean([low <= 0.7 <= high for low, high in intervals]) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("a, b", [([1.0], [2.0]), ([], []), ([1.0, 2.0, 3.0], [1.0, 2.0]), (5.0, 3.0),
                                  (np.ones((2, 3)), np.ones((2, 3)))])
def test_what_is_no_pairs_is_told(a, b):
    with pytest.raises(ValueError, match="a has the shape .* n at least 2 pairs"):
        paired_difference(a, b)


def test_differences_need_no_partner_and_may_all_be_the_same():
    d = np.array([0.1, 0.2, 0.4])
    assert paired_difference(d) == paired_difference(d, np.zeros(3))
    assert paired_difference([1.5, 2.5], [0.5, 1.5]) == (1.0, 1.0, 1.0)


def test_chance_by_hand():
    # 1, 2 and 6 have the mean 3, t = 3 / (7 / 3)**0.5 = 1.9640; P(T > t) = (1 - t / (t² + 2)^½) / 2.
    assert one_sided_p([1, 2, 6], 0) == pytest.approx((1 - 1.9640 / (1.9640**2 + 2)**0.5) / 2, abs=1e-5)
    assert one_sided_p([1, 2, 6], 3) == 0.5
    assert one_sided_p([1, 2, 6], 1) + one_sided_p([-1, -2, -6], -1) == pytest.approx(1)
    # 3.7469 is the value that 1 of 100 draws of t exceed, with 4 degrees of freedom.
    x = np.array([75.1, 75.3, 75.9, 75.6, 75.4])
    assert one_sided_p(x, x.mean() - 3.7469 * x.std(ddof=1) / 5**0.5) == pytest.approx(0.01, abs=1e-5)


def test_chance_is_small_as_often_as_it_says_where_nothing_is_better():
    draws = np.random.default_rng(0).normal(75.43, 0.3, size=(4000, 5))
    assert np.mean([one_sided_p(row, 75.43) < 0.05 for row in draws]) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("results, p", [([2, 2], 0), ([1, 1, 1], 1), ([0.5, 0.5], 1)])
def test_results_that_are_all_the_same_have_a_chance_too(results, p):
    assert one_sided_p(results, 1) == p


@pytest.mark.parametrize("results", [[1.0], [], [1.0, np.nan], 3.0])
def test_what_has_no_chance_is_told(results):
    with pytest.raises(ValueError, match="two results at least"):
        one_sided_p(results, 1)


@pytest.mark.parametrize("p, claimed", [
    ([0.01], [True]), ([0.05], [True]), ([0.051], [False]),
    ([0.04, 0.012, 0.2, 0.013], [False, True, False, True]),  # against 0.05 / 4, / 3, then 0.04 > 0.05 / 2 ends it
    ([0.03, 0.03], [False, False]), ([[0.03, 0.02], [0.03, 0.03]], [[True, True], [False, False]])])
def test_holm_by_hand(p, claimed):
    assert holm(p).tolist() == claimed


def test_holm_claims_one_false_of_many_in_one_of_twenty_families():
    p = np.random.default_rng(0).uniform(size=(4000, 7))
    assert holm(p).any(axis=1).mean() == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("p, level", [(0.05, 0.05), ([0.1, np.nan], 0.05), ([1.2], 0.05), ([0.1], 0.0)])
def test_what_is_no_family_is_told(p, level):
    with pytest.raises(ValueError, match="p-values"):
        holm(p, level)


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_p_is_below_a_twentieth_where_the_interval_excludes_0(scale):
    d = np.random.default_rng(3).normal(1, scale, size=(50, 5))
    p = paired_p(d)
    assert p == pytest.approx([ttest_1samp(x, 0).pvalue for x in d])
    intervals = [paired_difference(x) for x in d]
    assert (p < 0.05).tolist() == [low > 0 or high < 0 for _, low, high in intervals]


def test_equal_differences_are_certain_unless_they_are_0():
    assert paired_p([[2.0, 2.0, 2.0], [0.0, 0.0, 0.0]]).tolist() == [0, 1]


@pytest.mark.parametrize("d", [[1.0], 1.0, [1.0, np.nan]])
def test_what_has_no_p_is_told(d):
    with pytest.raises(ValueError, match="n at least 2"):
        paired_p(d)


def test_a_family_is_compared_by_one_rule():
    rng = np.random.default_rng(5)
    family = {"seen": rng.normal(9, 1, 7), ("nothing", 2): rng.normal(0, 1, 5), "alone": rng.normal(1, 1, 11)}
    found = compare_pairs(family)
    assert list(found) == list(family)
    for name, d in family.items():
        assert found[name].n == len(d) and found[name][1:4] == paired_difference(d) and found[name].p == paired_p(d)
    assert [found[name].claimed for name in family] == holm([paired_p(d) for d in family.values()]).tolist()
    alone = compare_pairs({"alone": family["alone"]})["alone"]
    assert alone.claimed and not compare_pairs({i: rng.normal(0, 1, 3) for i in range(40)} | family)["alone"].claimed


def test_the_comparison_that_cannot_be_made_is_named():
    for bad, message in (([1.0], "n at least 2"), ([1.0, float("nan")], "finite")):
        with pytest.raises(ValueError, match=rf"family\[\('cb', 'top-1'\)\]: .*{message}"):
            compare_pairs({("plain", "top-1"): [1.0, 2.0], ("cb", "top-1"): bad})

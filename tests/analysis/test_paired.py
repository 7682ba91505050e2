import numpy as np
import pytest

from minivit.analysis import holm, paired_difference


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
    with pytest.raises(ValueError, match="a and b have the shapes .* n at least 2"):
        paired_difference(a, b)


def test_differences_need_no_partner_and_may_all_be_the_same():
    d = np.array([0.1, 0.2, 0.4])
    assert paired_difference(d) == paired_difference(d, np.zeros(3))
    assert paired_difference([1.5, 2.5], [0.5, 1.5]) == (1.0, 1.0, 1.0)


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

import numpy as np
import pytest

from minivit.analysis import mean_height


def run(at, values, metric="test_loss"):
    return [{"epoch": epoch, metric: value} for epoch, value in zip(at, values, strict=True)]


def test_by_hand():
    # From epoch 2 to 5 the curve falls from 4 to 1, area 7.5; from 5 to 7 it stays, area 2.
    assert mean_height(run([2, 5, 7], [4.0, 1.0, 1.0])) == pytest.approx(9.5 / 5)


def test_a_line_has_the_height_of_its_middle_wherever_it_was_measured():
    at = [1, 2, 3, 11, 13]
    assert mean_height(run(at, np.multiply(0.7, at), "test_top1"), "test_top1") == pytest.approx(0.7 * 7)


def test_epochs_without_the_metric_are_left_out():
    sparse = run([1, 3], [3.0, 2.0])
    sparse.insert(1, {"epoch": 2, "train_loss": 9.0})
    assert mean_height(sparse) == mean_height(run([1, 3], [3.0, 2.0]))


def test_of_two_that_end_alike_the_faster_has_the_lower_loss():
    slow, fast = run([1, 2, 3], [4.0, 3.0, 1.0]), run([1, 2, 3], [4.0, 1.5, 1.0])
    assert mean_height(fast) < mean_height(slow)


@pytest.mark.parametrize("epochs", [[], run([5], [1.0]), run([1, 2], [1.0, 2.0], "train_loss")])
def test_a_curve_needs_two_points(epochs):
    with pytest.raises(ValueError, match="metric='test_loss' was measured after"):
        mean_height(epochs)


@pytest.mark.parametrize("epochs", [[1, 2, 2], [1, 3, 2]])
def test_epochs_of_two_runs_are_no_curve(epochs):
    with pytest.raises(ValueError, match="they must increase"):
        mean_height(run(epochs, [3.0, 2.0, 1.0]))

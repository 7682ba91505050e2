import pytest

from minivit.training.interval import Interval


@pytest.mark.parametrize("every, epochs", [(1, [1, 2, 3, 4, 5, 6, 7]), (3, [3, 6]), (9, [])])
def test_epochs_are_counted_from_the_first_and_not_from_where_a_run_goes_on(every, epochs):
    assert [epoch for epoch in range(1, 8) if Interval("every", every).is_over(epoch, now=0.0)] == epochs


@pytest.mark.parametrize("every, times", [("30s", [35, 70]), ("7 s", [7, 14, 21, 28, 35, 42, 49, 56, 63, 70]),
                                          ("20.5s", [21, 42, 63]), ("71s", [])])
def test_seconds_begin_anew_when_they_are_over(every, times):
    interval = Interval("every", every, now=1000.0)
    assert [t for t in range(7, 71, 7) if interval.is_over(None, 1000.0 + t)] == times


def test_seconds_are_over_inside_an_epoch_and_at_its_end_and_epochs_at_its_end_alone():
    assert Interval("every", "30s").is_over(None, 31.0) and Interval("every", "30s").is_over(1, 31.0)
    assert not Interval("every", 1).is_over(None, 31.0) and Interval("every", 1).is_over(1, 0.0)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "", "90", "s", "-5s", "1m", "1e3s", "soon", None])
def test_what_is_neither_is_named(value):
    with pytest.raises(ValueError, match="save_every=.* must be a number of epochs, at least 1, or seconds, such as"):
        Interval("save_every", value)

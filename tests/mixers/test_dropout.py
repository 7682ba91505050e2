import pytest
import torch

from minivit.draws import part_of
from minivit.mixers.dropout import Dropout


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_elements_are_dropped_with_their_probability_and_the_mean_stays(p):
    torch.manual_seed(0)
    ones = torch.ones(211, 13, 17)
    out = Dropout(p).train()(ones)
    dropped = out == 0
    torch.testing.assert_close(out[~dropped], torch.full_like(out[~dropped], 1 / (1 - p)))
    # Four standard deviations of the share dropped.
    assert abs(dropped.float().mean() - p) < 4 * (p * (1 - p) / ones.numel()) ** 0.5
    assert not (dropped == dropped[:1]).all() and not (dropped == dropped[:, :, :1]).all()  # each by itself


def test_nothing_is_dropped_in_evaluation_or_at_rate_zero():
    x = torch.randn(5, 7)
    assert Dropout(0.7).eval()(x) is x and Dropout(0.0).train()(x) is x


def test_a_part_of_a_batch_loses_what_it_loses_in_the_whole():
    x, rows = torch.randn(11, 7), torch.tensor([2, 9, 3])
    torch.manual_seed(0)
    whole = Dropout(0.5).train()(x)
    torch.manual_seed(0)
    with part_of(len(x), rows):
        assert torch.equal(Dropout(0.5).train()(x[rows]), whole[rows])

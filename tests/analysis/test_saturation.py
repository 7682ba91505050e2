import pytest
import torch

from minivit.analysis import attention_similarity

B, H, N, M = 2, 3, 7, 5


def maps(seed=0):
    torch.manual_seed(seed)
    return torch.randn(B, H, N, M, dtype=torch.float64).softmax(-1)


def one_hot(*keys):
    return torch.eye(M, dtype=torch.float64)[torch.tensor(keys)].expand(B, H, len(keys), M)


def test_by_hand():
    below, above = maps(0), maps(1)
    got = attention_similarity([below, above, above])
    assert got.shape == (2, B)
    want = [torch.stack([(below[b, h] * above[b, h]).sum() / below[b, h].norm() / above[b, h].norm()
                         for h in range(H)]).mean() for b in range(B)]
    torch.testing.assert_close(got[0], torch.stack(want))
    torch.testing.assert_close(got[1], torch.ones(B, dtype=torch.float64))


def test_extremes():
    assert not attention_similarity([one_hot(0, 1), one_hot(2, 3)]).any()
    assert (attention_similarity([one_hot(0, 1), one_hot(0, 3)]) - 0.5).abs().max() < 1e-12


def test_nearly_uniform_maps_are_alike_until_what_is_uniform_is_taken_away():
    below, above = (1 / M + 0.01 * (maps(seed) - 1 / M) for seed in (0, 1))
    assert attention_similarity([below, above]).min() > 0.999
    centred = attention_similarity([below, above], centred=True)
    torch.testing.assert_close(centred, attention_similarity([maps(0), maps(1)], centred=True))
    assert centred.max() < 0.5
    assert not attention_similarity([torch.full_like(below, 1 / M)] * 2, centred=True).any()


def test_the_mean_head_does_not_depend_on_the_order_of_heads():
    below, above = maps(), maps()[:, [2, 0, 1]]
    assert (attention_similarity([below, above]) < 0.95).all()
    torch.testing.assert_close(attention_similarity([below, above], mean_head=True),
                               torch.ones(1, B, dtype=torch.float64))


@pytest.mark.parametrize("attns", [[], [maps()], [maps(), maps()[..., :4]]])
def test_bad_maps_are_named(attns):
    with pytest.raises(ValueError, match=f"attns has {len(attns)} maps.*at least two, all of the same shape"):
        attention_similarity(attns)

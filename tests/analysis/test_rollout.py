import pytest
import torch

from minivit.analysis import attention_rollout

B, N = 2, 5


def random_maps(*heads):
    return [torch.randn(B, h, N, N, dtype=torch.float64).softmax(-1) for h in heads]


def test_rows_are_weights():
    rollout = attention_rollout(random_maps(3, 7, 3))
    assert rollout.shape == (B, N, N) and (rollout > 0).all()
    torch.testing.assert_close(rollout.sum(dim=-1), torch.ones(B, N, dtype=torch.float64))


def test_layers_are_multiplied_from_the_first_up():
    first, second = maps = random_maps(3, 3)
    identity = torch.eye(N, dtype=torch.float64)
    want = (second.mean(dim=1) + identity) / 2 @ ((first.mean(dim=1) + identity) / 2)
    torch.testing.assert_close(attention_rollout(maps), want)
    assert not torch.allclose(attention_rollout(maps[::-1]), want)


def test_of_tokens_that_attend_to_themselves_nothing_moves():
    identity = torch.eye(N).expand(B, 3, N, N)
    assert torch.equal(attention_rollout([identity] * 3), identity[:, 0])


def test_uniform_attention_halves_what_stays_with_each_layer():
    uniform = torch.full((1, 1, N, N), 1 / N, dtype=torch.float64)
    want = torch.eye(N, dtype=torch.float64) / 8 + 7 / 8 / N
    torch.testing.assert_close(attention_rollout([uniform] * 3), want[None])


@pytest.mark.parametrize("maps, message", [([], "0 layers"), ([torch.eye(n)[None, None] for n in (5, 7)], r"\[5, 7\]")])
def test_layers_must_have_the_same_tokens(maps, message):
    with pytest.raises(ValueError, match=message):
        attention_rollout(maps)

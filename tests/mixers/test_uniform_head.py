import pytest
import torch

from minivit.mixers import Attention, UniformHeadAttention

B, N, H, C = 2, 7, 3, 15


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(B, N, C, dtype=torch.float64)


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return UniformHeadAttention(C, H).double()


def test_is_attention_whose_last_map_is_uniform(x, layer):
    """By hand: the values of all heads, the maps that are returned, one projection."""
    attn, size = layer.attn, C // H
    out, maps = layer(x, return_attention=True)
    values = attn.qkv(x)[..., 2 * (H - 1) * size:]
    values = torch.cat([values, layer.value(x)], dim=-1).unflatten(-1, (H, size)).transpose(1, 2)  # (B, H, N, D)
    heads = (maps @ values).transpose(1, 2).flatten(2)
    weight = torch.cat([attn.proj.weight, layer.proj.weight], dim=1)
    torch.testing.assert_close(out, heads @ weight.T + attn.proj.bias)
    torch.testing.assert_close(maps[:, -1], torch.full((B, N, N), 1 / N).double())
    torch.testing.assert_close(maps.sum(dim=-1), torch.ones(B, H, N).double())


def test_maps_change_nothing(x, layer):
    torch.testing.assert_close(layer(x), layer(x, return_attention=True)[0])


def test_gives_up_the_queries_and_keys_of_a_head(layer):
    def count(module):
        return sum(p.numel() for p in module.parameters())
    assert count(Attention(C, H)) - count(layer) == 2 * (C // H) * (C + 1)


@pytest.mark.parametrize("dim, heads, message", [(C, 1, "num_heads=1"), (C, 4, "dim=15")])
def test_bad_heads(dim, heads, message):
    with pytest.raises(ValueError, match=message):
        UniformHeadAttention(dim, heads)


def test_two_heads_are_enough():
    _, maps = UniformHeadAttention(14, 2)(torch.randn(B, N, 14), return_attention=True)
    assert maps.shape == (B, 2, N, N) and maps[:, 0].std() > 0 and (maps[:, 1] == 1 / N).all()

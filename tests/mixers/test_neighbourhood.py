import pytest
import torch

from minivit.mixers import Attention, NeighbourhoodAttention
from minivit.mixers.neighbourhood import group

GRID, C, H = (4, 6), 12, 3


def pair(prefix_tokens=1, **options):
    """Return full attention and a neighbourhood with the same weights, and tokens."""
    torch.manual_seed(0)
    full = Attention(C, H).double()
    near = NeighbourhoodAttention(C, H, grid=GRID, prefix_tokens=prefix_tokens, **options).double()
    near.load_state_dict(full.state_dict())
    return full, near, torch.randn(2, prefix_tokens + 24, C, dtype=torch.float64)


@pytest.mark.parametrize("window", [(4, 6), 99])
@pytest.mark.parametrize("stride", [1, (2, 3), (3, 4)])
def test_a_window_of_the_whole_grid_is_full_attention(window, stride):
    full, near, x = pair(window=window, stride=stride)
    torch.testing.assert_close(near(x), full(x))
    torch.testing.assert_close(near(x, return_attention=True)[1], full(x, return_attention=True)[1])


def test_a_stride_of_the_window_is_blocks():
    full, near, x = pair(prefix_tokens=0, window=(2, 3), stride=(2, 3))
    blocks = x.unflatten(1, (2, 2, 2, 3)).transpose(2, 3).flatten(3, 4).flatten(1, 2)  # (B, 4 blocks, 6, C)
    alone = torch.stack([full(block) for block in blocks.unbind(1)], dim=1)
    torch.testing.assert_close(near(x).unflatten(1, (2, 2, 2, 3)).transpose(2, 3).flatten(3, 4).flatten(1, 2), alone)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_every_patch_asks_its_window_and_the_prefix_and_no_other(stride):
    _, near, x = pair(window=3, stride=stride, prefix_tokens=2)
    maps = near(x, return_attention=True)[1]
    torch.testing.assert_close(near(x, return_attention=True)[0], near(x))
    seen = (maps > 0).all(1).all(0)
    assert seen[:2].all() and seen[2:, :2].all() and (seen[2:, 2:].sum(-1) == 9).all()
    rows, columns = torch.arange(24) // 6, torch.arange(24) % 6
    assert seen[2:, 2:].diagonal().all()
    far = ((rows[:, None] - rows).abs() > 2) | ((columns[:, None] - columns).abs() > 2)
    assert not (seen[2:, 2:] & far).any()


def test_with_stride_1_the_window_is_centred_and_shifted_inwards_at_the_border():
    places, keys, mine = group(7, 3, 1)
    assert places.flatten().tolist() == mine.tolist() == list(range(7))
    assert keys.tolist() == [[0, 1, 2], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 6], [4, 5, 6]]


@pytest.mark.parametrize("length, window, stride", [(7, 3, 2), (7, 4, 3), (5, 5, 2), (11, 5, 4), (3, 3, 3)])
def test_every_place_is_in_a_group_and_every_group_in_its_window(length, window, stride):
    places, keys, mine = group(length, window, stride)
    assert places.flatten()[mine].tolist() == list(range(length))
    assert ((keys >= 0) & (keys < length)).all()
    assert all(set(p.tolist()) <= set(k.tolist()) for p, k in zip(places, keys, strict=True))


def test_other_tokens_are_told():
    with pytest.raises(ValueError, match="x has 24 tokens; this NeighbourhoodAttention was made for 25"):
        pair()[1](torch.zeros(1, 24, C, dtype=torch.float64))

import pytest
import torch

from minivit.layers import AttentionDownsample

B, H, OUT, S, M = 2, 3, 5, 6, 7
N = S * S


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def upsample(coarse, axis):
    """Give each token of the fine grid, row by row, what its 2 x 2 patch has: an axis of (S / 2)**2 becomes S**2."""
    grid = coarse.unflatten(axis, (S // 2, S // 2))
    return grid.repeat_interleave(2, axis).repeat_interleave(2, axis + 1).flatten(axis, axis + 1)


@pytest.mark.parametrize("keys", [False, True])
def test_scores_that_depend_on_patches_alone_are_merged_exactly(keys):
    want = torch.randn(B, H, N // 4, N // 4 if keys else M)
    scores = upsample(want, 2)
    scores = upsample(scores, 3) if keys else scores
    got = AttentionDownsample(H, OUT, S, keys=keys).merge(scores)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("keys", [False, True])
def test_merges_the_tokens_of_one_patch_with_the_weights_of_its_head(keys):
    downsample = AttentionDownsample(H, OUT, S, keys=keys)
    torch.nn.init.normal_(downsample.merging)
    scores = torch.randn(B, H, N, N if keys else M)
    members = torch.arange(N).reshape(S, S)[2:4, 4:6].flatten()  # of patch 5: row 1, column 2
    assert members.tolist() == [16, 17, 22, 23]
    weight = downsample.merging.reshape(H, 4, -1)  # 4 or 1 along the keys
    block = scores[:, :, members][..., members] if keys else scores[:, :, members, 5:6]
    torch.testing.assert_close(downsample.merge(scores)[:, :, 5, 5], (block * weight).sum((-2, -1)))


@pytest.mark.parametrize("keys", [False, True])
def test_starts_at_nothing_and_learns(keys):
    downsample = AttentionDownsample(H, OUT, S, keys=keys)
    scores = torch.randn(B, H, N, N if keys else M)
    out = downsample(scores)
    assert out.shape == (B, OUT, N // 4, N // 4 if keys else M)
    assert not out.any()
    out.square().add(out).sum().backward()
    assert downsample.heads.grad.any()
    torch.nn.init.normal_(downsample.heads)
    downsample(scores).square().sum().backward()
    assert downsample.merging.grad.any()


@pytest.mark.parametrize("side", [5, 0])
def test_an_odd_side_is_named(side):
    with pytest.raises(ValueError, match=f"side={side} must be even"):
        AttentionDownsample(H, OUT, side, keys=True)

import pytest
import torch

from minivit.mixers import AttentionDownsample

B, H, OUT, S, M = 2, 3, 5, 6, 7
N = S * S
KEY_SIDES = [None, S, 4]  # keys are not merged; are the tokens; are fewer, and merged


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def upsample(coarse, axis, side):
    """Give each token of the fine grid, row by row, what its 2 x 2 patch has: (side / 2)**2 becomes side**2."""
    grid = coarse.unflatten(axis, (side // 2, side // 2))
    return grid.repeat_interleave(2, axis).repeat_interleave(2, axis + 1).flatten(axis, axis + 1)


@pytest.mark.parametrize("key_side", KEY_SIDES)
def test_scores_that_depend_on_patches_alone_are_merged_exactly(key_side):
    want = torch.randn(B, H, N // 4, key_side**2 // 4 if key_side else M)
    scores = upsample(want, 2, S)
    scores = upsample(scores, 3, key_side) if key_side else scores
    got = AttentionDownsample(H, OUT, S, key_side=key_side).merge(scores)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("key_side", KEY_SIDES)
def test_merges_the_tokens_of_one_patch_with_the_weights_of_its_head(key_side):
    downsample = AttentionDownsample(H, OUT, S, key_side=key_side)
    torch.nn.init.normal_(downsample.merging)
    scores = torch.randn(B, H, N, key_side**2 if key_side else M)
    members = torch.arange(N).reshape(S, S)[2:4, 4:6].flatten()  # of patch 5: row 1, column 2
    assert members.tolist() == [16, 17, 22, 23]
    keys = torch.arange(key_side**2).reshape(key_side, -1)[2:4, 0:2].flatten() if key_side else torch.tensor([3])
    place = 3 if key_side in (None, S) else 2  # the key patch of row 1, column 0
    weight = downsample.merging.reshape(H, 4, -1)  # 4 or 1 along the keys
    want = (scores[:, :, members][..., keys] * weight).sum((-2, -1))
    torch.testing.assert_close(downsample.merge(scores)[:, :, 5, place], want)


@pytest.mark.parametrize("key_side", KEY_SIDES)
def test_normalises_each_head_of_each_image_and_mixes_the_heads(key_side):
    downsample = AttentionDownsample(H, OUT, S, key_side=key_side)
    torch.nn.init.normal_(downsample.heads)
    scores = 5 * torch.randn(B, H, N, key_side**2 if key_side else M)
    merged = downsample.merge(scores)
    deviation = (merged.var(dim=(2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
    normal = (merged - merged.mean(dim=(2, 3), keepdim=True)) / deviation
    want = (downsample.heads[:, :, None, None] * normal[:, None]).sum(2)
    torch.testing.assert_close(downsample(scores), want)


def test_one_image_with_one_score_is_a_batch_too():
    assert AttentionDownsample(H, OUT, 2, key_side=2)(torch.randn(1, H, 4, 4)).shape == (1, OUT, 1, 1)


@pytest.mark.parametrize("key_side", KEY_SIDES)
def test_starts_at_nothing_and_learns(key_side):
    downsample = AttentionDownsample(H, OUT, S, key_side=key_side)
    scores = torch.randn(B, H, N, key_side**2 if key_side else M)
    out = downsample(scores)
    assert out.shape == (B, OUT, N // 4, key_side**2 // 4 if key_side else M)
    assert not out.any()
    out.square().add(out).sum().backward()
    assert downsample.heads.grad.any()
    torch.nn.init.normal_(downsample.heads)
    downsample(scores).square().sum().backward()
    assert downsample.merging.grad.any()


@pytest.mark.parametrize("side", [5, 0])
def test_an_odd_side_is_named(side):
    with pytest.raises(ValueError, match=f"^side={side} must be (even|.* at least 1)"):
        AttentionDownsample(H, OUT, side)
    with pytest.raises(ValueError, match=f"key_side={side} must be (even|.* at least 1)"):
        AttentionDownsample(H, OUT, S, key_side=side)

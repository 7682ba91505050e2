import pytest
import torch
import torch.nn.functional as F

from minivit.models import LaViT, PiT, ViT, interpolate_weights
from minivit.models.interpolate import interpolation
from minivit.options import image_sides

SMALL = dict(patch_size=4, num_classes=3, dim=6, depth=3, num_heads=2, attention_layers=[0])
STAGES = dict(patch_size=2, num_classes=3, dims=(4, 6), depths=(2, 2), attention_depths=(1, 1), num_heads=(1, 2),
              reductions=(2, 1), mlp_ratios=(2, 2))


def make(image_size, kind=ViT, **options):
    torch.manual_seed(0)
    model = kind(image_size=image_size, **(SMALL if kind is ViT else STAGES) | options)
    for p in model.parameters():
        p.data += 0.1 * torch.randn_like(p)
    return model


@pytest.mark.parametrize("before, after", [(10, 26), (9, 25), (26, 10), (16, 16)])
def test_interpolates_from_grid_to_grid(before, after):
    there = interpolation(before, after)
    torch.testing.assert_close(there.sum(1), torch.ones(after, dtype=torch.float64))
    if before % 2 == 0 and before != 16:  # the class token stays by itself
        assert there[0, 0] == 1 and not there[0, 1:].any() and not there[1:, 0].any()
    if before == after:
        torch.testing.assert_close(there, torch.eye(16, dtype=torch.float64))
    # Of a ramp from left to right comes a ramp from left to right.
    side, new_side = (round((n - n % 2 if n != 16 else n) ** 0.5) for n in (before, after))
    ramp = torch.arange(side, dtype=torch.float64).repeat(side)
    got = (there[-new_side**2:, -side**2:] @ ramp).reshape(new_side, new_side)
    assert (got.diff(dim=1) >= 0).all() and torch.allclose(got, got[0])


@pytest.mark.parametrize("rank", [None, 3])
def test_transforming_and_interpolating_can_be_exchanged(rank):
    small, large = make(12, less_attention_rank=rank), make(24, less_attention_rank=rank)
    large.load_state_dict(interpolate_weights(small.state_dict(), large))
    there = interpolation(10, 37).float()
    scores = torch.randn(2, 2, 10, 10)
    for below, above in zip(small.blocks[1:], large.blocks[1:], strict=True):
        want = there @ below.attn.transform(scores) @ there.mT
        torch.testing.assert_close(above.attn.transform(there @ scores @ there.mT), want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("before, after", [(12, 24), (24, 12)])
@pytest.mark.parametrize("rank", [None, 3])
def test_the_identity_stays_the_identity(before, after, rank):
    small, large = (ViT(image_size=side, **SMALL, less_attention_rank=rank) for side in (before, after))
    large.load_state_dict(interpolate_weights(small.state_dict(), large))
    for token_map in (large.blocks[1].attn.theta, large.blocks[2].attn.psi):
        torch.testing.assert_close(token_map.matrix(), torch.eye(token_map.num_tokens), atol=1e-5, rtol=0)


@pytest.mark.parametrize("before, after", [(16, 32), (32, 16), (16, 16)])
def test_stages_fit_images_of_another_size(before, after):
    old, new = make(before, LaViT), make(after, LaViT)
    fitted = interpolate_weights(old.state_dict(), new)
    new.load_state_dict(fitted)
    assert new(torch.randn(2, 3, after, after)).shape == (2, 3)
    assert torch.equal(fitted["head.weight"], old.head.weight)
    if before == after:
        assert all(torch.equal(weight, old.state_dict()[name]) for name, weight in fitted.items())


@pytest.mark.parametrize("options, message", [
    ({"depth": 2}, "weights of another model.*blocks"),
    ({"dim": 8}, r"cls_token.*\(1, 1, 6\).*\(1, 1, 8\).*image_size"),
    ({"less_attention_rank": 2}, "weights of another model"),
])
def test_models_that_differ_in_more_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        interpolate_weights(make(12).state_dict(), make(24, **options))
    with pytest.raises(ValueError, match="10 and 12 tokens"):
        interpolation(10, 12)


def test_other_proportions_are_interpolated_row_by_row():
    there = interpolation(16, 60, grid=(2, 8), new_grid=(5, 12))
    torch.testing.assert_close(there.sum(1), torch.ones(60, dtype=torch.float64))
    for axis, (size, new_size) in enumerate(zip((2, 8), (5, 12), strict=True)):  # a ramp along one axis stays one
        ramp = torch.arange(size, dtype=torch.float64).expand(8, 2).T if axis == 0 else (
            torch.arange(size, dtype=torch.float64).expand(2, 8))
        got = (there @ ramp.flatten()).reshape(5, 12)
        want = F.interpolate(torch.arange(size, dtype=torch.float64)[None, None], size=new_size, mode="linear")[0, 0]
        torch.testing.assert_close(got, (want[:, None] if axis == 0 else want).expand(5, 12))


@pytest.mark.parametrize("kind, before, after, grid", [
    (ViT, 16, (8, 24), None), (ViT, (8, 32), (16, 24), (2, 8)), (ViT, (8, 24), (16, 48), None),
    (LaViT, 16, (8, 24), None), (LaViT, (8, 24), (16, 32), (4, 12)), (ViT, (8, 32), 16, (2, 8)),
])
def test_weights_go_between_images_of_any_proportions(kind, before, after, grid):
    old, new = make(before, kind), make(after, kind)
    fitted = interpolate_weights(old.state_dict(), new, grid=grid)
    new.load_state_dict(fitted)
    assert new(torch.randn(2, 3, *image_sides(after))).isfinite().all()
    if kind is ViT:
        places = old.pos_embed[:, 1:].unflatten(1, old.grids[0]).movedim(3, 1)
        want = F.interpolate(places, size=new.grids[0], mode="bilinear").flatten(2).mT
        torch.testing.assert_close(fitted["pos_embed"], torch.cat([old.pos_embed[:, :1], want], dim=1))


def test_a_grid_that_may_be_two_things_must_be_told():
    weights = make(16).state_dict()  # 16 patches: 4 x 4, or 2 x 8
    with pytest.raises(ValueError, match=r"grid=None: 17 tokens.*4 x 4 or of 2 x 8; give grid="):
        interpolate_weights(weights, make((16, 64)))
    with pytest.raises(ValueError, match="give grid="):
        interpolate_weights(make((8, 12)).state_dict(), make(16))
    fitted = interpolate_weights(weights, make((8, 32)), grid=4)  # of one shape, but not of one grid
    assert fitted["pos_embed"].shape == weights["pos_embed"].shape
    assert not torch.equal(fitted["pos_embed"], weights["pos_embed"])


def test_positions_of_a_pit_are_a_grid_already():
    options = dict(patch_size=3, stride=2, dims=(4, 8), depths=(1, 1), num_heads=(1, 2), num_classes=3)
    old, new = PiT(image_size=9, **options), PiT(image_size=(9, 13), **options)
    new.load_state_dict(interpolate_weights(old.state_dict(), new))
    assert new.grids == ((4, 6), (2, 3))
    torch.testing.assert_close(new.pos_embed.mean(), old.pos_embed.mean(), atol=0.01, rtol=0)

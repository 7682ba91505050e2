import pytest
import torch
import torch.nn.functional as F

from minivit.analysis import cost
from minivit.layers import Attention, LessAttention
from minivit.models import LaViT, create_model

# Grids of 8, 4 and 2 tokens a side; 4, 4 and 2 keys a side.
SMALL = dict(image_size=24, patch_size=3, num_classes=11, dims=(6, 10, 21), depths=(2, 3, 2),
             attention_depths=(1, 2, 1), num_heads=(1, 2, 3), reductions=(2, 1, 1), mlp_ratios=(2.0, 3.0, 4.0))
B = 2
MAPS = [*2 * [(B, 1, 64, 16)], *3 * [(B, 2, 16, 16)], *2 * [(B, 3, 4, 4)]]


def make(**options):
    torch.manual_seed(0)
    return LaViT(**SMALL | options)


def disturbed(model):
    """Move every weight: what starts at the identity or at zero would hide a mistake."""
    torch.manual_seed(2)
    for p in model.parameters():
        p.data += 0.1 * torch.randn_like(p)
    return model


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.randn(B, 3, 24, 24)


@pytest.mark.parametrize("name, params, macs", [
    ("lavit_tiny", 10.9, 1.6), ("lavit_small", 22.4, 3.3), ("lavit_base", 39.6, 6.1),
])
def test_published_sizes_and_costs_within_a_tenth(name, params, macs):
    with torch.device("meta"):
        result = cost(create_model(name), 224)
    assert result.params / 1e6 == pytest.approx(params, rel=0.1)
    assert result.macs / 1e9 == pytest.approx(macs, rel=0.1)


def test_maps_of_every_stage_and_the_same_logits(images):
    model = disturbed(make(context="cb", drop_path=0.1)).eval()
    logits, maps = model(images, return_attention=True)
    assert logits.shape == (B, 11)
    assert [tuple(a.shape) for a in maps] == MAPS
    for attention in maps:
        torch.testing.assert_close(attention.sum(-1), torch.ones(attention.shape[:-1]))
    torch.testing.assert_close(model(images), logits, atol=1e-5, rtol=1e-5)


def test_attention_first_then_less_attention_which_starts_by_repeating(images):
    model = make()
    kinds = [[type(block.attn) for block in stage.blocks] for stage in model.stages]
    assert kinds == [[Attention, LessAttention], 2 * [Attention] + [LessAttention], [Attention, LessAttention]]
    assert [i for i, kind in enumerate(sum(kinds, [])) if kind is LessAttention] == [1, 4, 6]
    maps = model(images, return_attention=True)[1]
    for layer in (1, 4, 6):
        torch.testing.assert_close(maps[layer], maps[layer - 1], atol=1e-6, rtol=0)
    assert not torch.allclose(maps[3], maps[2], atol=1e-6)  # that one is computed anew


def test_goes_through_the_stages(images):
    model = disturbed(make()).eval()
    x, scores, grids = images, None, []
    for stage, side in zip(model.stages, (8, 4, 2), strict=True):
        x = F.layer_norm(stage.merge.conv(x).flatten(2).mT, (len(stage.merge.norm.bias),), stage.merge.norm.weight,
                         stage.merge.norm.bias, eps=1e-6) + stage.merge.pos_embed
        for i, block in enumerate(stage.blocks):
            if i == 0 and scores is not None:  # the residual
                x, scores = block(x, stage.downsample(scores.product()), return_scores=True)
            elif isinstance(block.attn, LessAttention):
                x, scores = block(x, scores, return_scores=True)
            else:
                x, scores = block(x, return_scores=True)
        x = x.mT.reshape(B, -1, side, side)
        grids.append(x)
    for got, want in zip(model.feature_maps(images), grids, strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)
    tokens = F.layer_norm(x.flatten(2).mT, (21,), model.norm.weight, model.norm.bias, eps=1e-6)
    torch.testing.assert_close(model(images), model.head(tokens.mean(1)), atol=1e-5, rtol=1e-5)


def test_the_residual_is_what_differs(images):
    torch.manual_seed(0)
    with_it = make()
    torch.manual_seed(0)
    without = make(attention_residual=False)
    new = with_it.state_dict().keys() - without.state_dict().keys()
    assert new and all(".downsample." in name for name in new)
    assert all(torch.equal(p, with_it.state_dict()[name]) for name, p in without.state_dict().items())
    torch.testing.assert_close(with_it(images), without(images))  # it starts at nothing
    for stage in with_it.stages[1:]:
        torch.nn.init.normal_(stage.downsample.heads)
    assert not torch.allclose(with_it(images), without(images))


@pytest.mark.parametrize("options", [{"reductions": (2, 2, 2)}, {"reductions": (4, 2, 1)}, {"reductions": (4, 2, 2)},
                                     {"image_size": 12, "reductions": (1, 1, 1)}])
def test_every_halving_of_the_keys_goes_through_for_one_image_too(options):
    model = disturbed(make(**options))
    sides = [model.image_shape[-1] // 3 // 2**stage for stage in range(3)]
    maps = model(torch.randn(1, *model.image_shape), return_attention=True)[1]
    for stage, layer in enumerate((0, 2, 5)):
        keys = (sides[stage] // options["reductions"][stage]) ** 2
        assert maps[layer].shape[-2:] == (sides[stage] ** 2, keys)


def test_keys_shrink_with_the_grid_unless_the_reduction_makes_up_for_it():
    kernels = [tuple(stage.downsample.merging.shape[1:]) for stage in make().stages[1:]]
    assert kernels == [(4,), (4, 4)]  # 4, 4 and 2 keys a side


@pytest.mark.parametrize("layers, where", [("upper", {(1, 1), (1, 2), (2, 0), (2, 1)}), ((0, 3), {(0, 0), (1, 1)})])
def test_context_layers_are_counted_through_the_stages(layers, where):
    plain, cb_s = (make(context=context, context_layers=layers) for context in ("none", "cb_s"))
    new = cb_s.state_dict().keys() - plain.state_dict().keys()
    assert new == {f"stages.{stage}.blocks.{i}.mlp.end.scale" for stage, i in where}
    assert all(torch.equal(p, cb_s.state_dict()[name]) for name, p in plain.state_dict().items())


def test_drop_path_grows_through_the_stages():
    rates = [block.drop_path.rate for stage in make(drop_path=0.6).stages for block in stage.blocks]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


@pytest.mark.parametrize("options, message", [
    ({"depths": (2, 0, 2)}, r"depths=\(2, 0, 2\).*every stage.*left out"),
    ({"attention_depths": (1, 0, 1)}, r"attention_depths=\(1, 0, 1\).*larger than 0"),
    ({"attention_depths": (1, 4, 1)}, r"attention_depths=\(1, 4, 1\).*depths=\(2, 3, 2\)"),
    ({"depths": (2, 3)}, r"depths=\(2, 3\).*one number per stage"),
    ({"dims": ()}, r"dims=\(\).*one number per stage"),
    ({"num_heads": (1, 3, 3)}, "dim=10.*num_heads=3"),
    ({"reductions": (3, 1, 1)}, r"reductions=\(3, 1, 1\).*divide.*\(8, 4, 2\)"),
    ({"reductions": (8, 1, 1)}, r"reductions=\(8, 1, 1\).*keys per side"),
    ({"image_size": 27}, "image_size=27.*12"),
    ({"less_attention_rank": 4}, "rank=4.*4 tokens"),
    ({"less_attention_rank": 2, "attention_depths": [2, 3, 2]}, "less_attention_rank=2 needs.*every block computes"),
    ({"drop_path": 1.0}, "drop_path=1.0"), ({"num_classes": -1}, "num_classes=-1"),
    ({"context": "cb_gate"}, "context='cb_gate' needs a class token, and a LaViT has none.*none, cb, cb_s, se$"),
    ({"context": "cb_hybrid", "context_layers": ()}, "context='cb_hybrid' needs a class token"),
    ({"context": "cbs"}, "context='cbs'"), ({"context_layers": [7]}, r"context_layers=\[7\]"),
])
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_an_image_of_another_size_is_named():
    with pytest.raises(ValueError, match=r"images.*\(1, 3, 12, 12\).*\(B, 3, 24, 24\).*interpolate_weights"):
        make()(torch.zeros(1, 3, 12, 12))

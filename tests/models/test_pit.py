import pytest
import torch
import torch.nn.functional as F

from minivit.analysis import cost
from minivit.models import PiT, create_model

# Grids of 7, 4 and 2 patches a side.
SMALL = dict(image_size=23, patch_size=5, stride=3, num_classes=11, dims=(6, 18, 36), depths=(1, 3, 1),
             num_heads=(3, 2, 4))
B = 2
MAPS = [(B, 3, 50, 50), *3 * [(B, 2, 17, 17)], (B, 4, 5, 5)]


def make(**options):
    torch.manual_seed(0)
    return PiT(**SMALL | options)


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.randn(B, 3, 23, 23)


def test_published_size_and_cost():
    with torch.device("meta"):
        plain, cb = create_model("pit_b_224"), create_model("pit_b_224", context="cb")
    result = cost(plain, 224)
    assert (round(result.params / 1e6, 1), round(result.macs / 1e9, 1)) == (73.8, 12.4)  # the CB paper's table 11
    # One addition a channel and token, in the last three blocks of the second stage and the four of the third.
    assert cost(cb, 224).macs - result.macs == 3 * 257 * 512 + 4 * 65 * 1024
    assert cost(cb, 224).params == result.params


def test_state_dict_is_timms():
    with torch.device("meta"):
        model = create_model("pit_b_224", context="cb")
    want = {"cls_token": (1, 1, 256), "pos_embed": (1, 256, 31, 31), "patch_embed.conv.weight": (256, 3, 14, 14),
            "patch_embed.conv.bias": (256,), "norm.weight": (1024,), "norm.bias": (1024,), "head.weight": (1000, 1024),
            "head.bias": (1000,)}
    for stage, (c, depth) in enumerate([(256, 3), (512, 6), (1024, 4)]):
        if stage:
            want |= {f"transformers.{stage}.pool.conv.weight": (c, 1, 3, 3),
                     f"transformers.{stage}.pool.conv.bias": (c,),
                     f"transformers.{stage}.pool.fc.weight": (c, c // 2), f"transformers.{stage}.pool.fc.bias": (c,)}
        for i in range(depth):
            for name, shape in {"norm1.weight": (c,), "norm1.bias": (c,), "attn.qkv.weight": (3 * c, c),
                                "attn.qkv.bias": (3 * c,), "attn.proj.weight": (c, c), "attn.proj.bias": (c,),
                                "norm2.weight": (c,), "norm2.bias": (c,), "mlp.fc1.weight": (4 * c, c),
                                "mlp.fc1.bias": (4 * c,), "mlp.fc2.weight": (c, 4 * c), "mlp.fc2.bias": (c,)}.items():
                want[f"transformers.{stage}.blocks.{i}.{name}"] = shape
    assert {name: tuple(p.shape) for name, p in model.state_dict().items()} == want


def test_one_map_a_block_and_the_same_logits(images):
    model = make(context="cb").eval()
    logits, maps = model(images, return_attention=True)
    assert logits.shape == (B, 11)
    assert [tuple(a.shape) for a in maps] == MAPS
    for attention in maps:
        torch.testing.assert_close(attention.sum(-1), torch.ones(attention.shape[:-1]))
    torch.testing.assert_close(model(images), logits, atol=1e-5, rtol=0)


def test_goes_through_the_stages_and_reads_the_class_token(images):
    model = make().eval()
    patches = (model.patch_embed(images) + model.pos_embed).reshape(B, 6, 49).mT
    x = torch.cat([torch.cat(B * [model.cls_token]), patches], dim=1)
    first, second, third = model.transformers
    x = second["pool"](first["blocks"][0](x))
    for block in second["blocks"]:
        x = block(x)
    x = third["blocks"][0](third["pool"](x))
    class_token = F.layer_norm(x[:, 0], (36,), model.norm.weight, model.norm.bias, eps=1e-6)
    torch.testing.assert_close(model(images), model.head(class_token))


def test_pooling_sees_the_patches_where_they_lie_and_not_the_class_token():
    pool = make().transformers[1]["pool"]
    x = torch.randn(B, 50, 6)
    y = pool(x)
    assert y.shape == (B, 17, 18)
    torch.testing.assert_close(y[:, 0], pool.fc(x[:, 0]))
    grid = F.pad(x[:, 1:].reshape(B, 7, 7, 6), (0, 0, 1, 1, 1, 1))  # zeros around it: (B, 9, 9, C)
    for row, column in ((0, 0), (1, 2), (3, 0)):
        window = grid[:, 2 * row:2 * row + 3, 2 * column:2 * column + 3]
        # Channel c becomes channels 3 c to 3 c + 2.
        by_hand = torch.einsum("bhwc,cghw->bcg", window, pool.conv.weight.view(6, 3, 3, 3)).flatten(1) + pool.conv.bias
        torch.testing.assert_close(y[:, 1 + row * 4 + column], by_hand)


def test_patches_overlap_and_cover_the_image():
    embed = make().patch_embed
    image = torch.zeros(1, 3, 23, 23, requires_grad=True)
    F.conv2d(image, torch.ones_like(embed.conv.weight), stride=embed.conv.stride).mean(1).sum().backward()
    seen = image.grad[0, 0, 0]  # a pixel of the first row is in one row of patches
    assert embed(image).shape == (1, 6, 7, 7)
    torch.testing.assert_close(seen, torch.tensor([1., 1, 1] + 6 * [2., 2, 1] + [1., 1]))


@pytest.mark.parametrize("layers, where", [
    ("upper", {(1, 1), (1, 2), (2, 0)}), ("all", {(0, 0), (1, 0), (1, 1), (1, 2), (2, 0)}),
    ((0, 3), {(0, 0), (1, 2)}), ([], set()),
])
def test_context_layers_are_counted_through_the_stages(layers, where):
    plain, cb, cb_s = (make(context=context, context_layers=layers) for context in ("none", "cb", "cb_s"))
    assert plain.state_dict().keys() == cb.state_dict().keys()
    new = cb_s.state_dict().keys() - plain.state_dict().keys()
    assert new == {f"transformers.{stage}.blocks.{i}.mlp.end.scale" for stage, i in where}


@pytest.mark.parametrize("context", ["cb", "cb_s", "cb_gate", "cb_hybrid", "se"])
@pytest.mark.parametrize("position", ["mlp_end", "mlp_mid", "mlp_front", "msa_end", "both"])
def test_every_context_everywhere_from_the_same_start(context, position, images):
    plain, other = make(), make(context=context, context_position=position)
    assert all(torch.equal(weight, other.state_dict()[name]) for name, weight in plain.state_dict().items())
    if context != "cb_s":  # which changes nothing at its start
        assert not torch.allclose(plain(images), other(images))


def test_drop_path_grows_through_the_stages():
    model = make(drop_path=0.2)
    rates = [block.drop_path.rate for stage in model.transformers for block in stage["blocks"]]
    assert rates == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])


@pytest.mark.parametrize("options, message", [
    ({"context": "cbs"}, "context='cbs'.*none, cb, cb_s"),
    ({"context_position": "end"}, "context_position='end'.*mlp_end"),
    ({"context_layers": [0, 13]}, r"context_layers=\[0, 13\].*\[0, 13\)"),
    ({"depths": 13}, "depths=13.*wrong type"),
    ({"depths": (3, 6)}, r"depths=\(3, 6\).*one number per stage"),
    ({"dims": (), "depths": (), "num_heads": ()}, r"dims=\(\).*one number per stage"),
    ({"depths": (3, 0, 4)}, r"depths=\(3, 0, 4\).*at least 1"),
    ({"dims": (256, 384, 768)}, r"dims=\(256, 384, 768\).*multiple"),
    ({"dims": (0, 512, 1024)}, r"dims=\(0, 512, 1024\).*at least 1"),
    ({"num_heads": (4, 8, 15)}, "dim=1024.*num_heads=15"),
    ({"num_classes": -1}, "num_classes=-1"),
    ({"drop_path": 1.0}, "drop_path=1.0"),
    ({"stride": 8}, "patch_size=14.*stride=8.*image_size=224"),
    ({"stride": 15}, "stride=15.*patch_size"),
    ({"stride": 0}, "stride=0"),
    ({"image_size": 7}, "patch_size=14.*image_size=7"),
])
def test_bad_arguments_are_named(options, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        create_model("pit_b_224", **options)


def test_an_image_of_another_size_is_named():
    with pytest.raises(ValueError, match=r"images.*\(1, 3, 20, 20\).*\(B, 3, 23, 23\)"):
        make()(torch.zeros(1, 3, 20, 20))

import pytest
import torch
from torch import nn

from minivit.analysis import cost
from minivit.models import Mixer, ViT, create_model


def test_equals_the_count_by_hand():
    p, grid, c, depth, k = 5, 7, 21, 2, 11
    n = grid**2 + 1
    model = ViT(image_size=grid * p, patch_size=p, num_classes=k, dim=c, depth=depth, num_heads=3)
    # A block: queries, keys and values 3 N C^2, projection N C^2, MLP 8 N C^2, scores and weighted values 2 N^2 C.
    block = 12 * n * c**2 + 2 * n**2 * c
    embed, head = grid**2 * 3 * p**2 * c, c * k
    result = cost(model, grid * p)
    assert result.macs == embed + depth * block + head
    assert result.macs_by_module["blocks.1"] == block
    assert result.macs_by_module["patch_embed"] == embed
    assert result.params == sum(q.numel() for q in model.parameters())


def test_shapes_without_numbers_cost_the_same():
    options = dict(image_size=35, patch_size=5, dim=21, depth=3, num_heads=3, context="cb_hybrid",
                   uniform_head="append")
    with torch.device("meta"):
        without = ViT(**options)
    assert cost(without, 35) == cost(ViT(**options), 35)


# The CB paper's accounting, from our models. Where its own numbers contradict each other:
# - Tables S16 and S17 head the FLOPs of ViT-S with 1260 M, which is ViT-Ti; table 5 has 4.6 G for ViT-S.
# - Their +0.9 M is CB in all 12 blocks, as the text says of these tables; in the upper half, the paper's choice, it is
#   half of that. CB_S's 0.02 % of parameters holds for all 12 blocks too, and is 0.01 % for the upper half.


def paper_model(name, **options):
    with torch.device("meta"):  # a count needs shapes and no numbers
        return create_model(name, **options)


@pytest.fixture(scope="module")
def small():
    return cost(paper_model("vit_small_patch16_224"), 224)


@pytest.mark.parametrize("name, params, macs", [
    ("vit_tiny_patch16_224", 5.7, 1.3), ("vit_small_patch16_224", 22.1, 4.6), ("vit_base_patch16_224", 86.6, 17.6),
])
def test_paper_table_5(name, params, macs):
    result = cost(paper_model(name), 224)
    assert (round(result.params / 1e6, 1), round(result.macs / 1e9, 1)) == (params, macs)


@pytest.mark.parametrize("uniform_head, params", [("replace", 21), ("matched", 22), ("append", 29)])
def test_paper_table_1(uniform_head, params, small):
    result = cost(paper_model("vit_small_patch16_224", uniform_head=uniform_head), 224)
    assert int(result.params / 1e6) == params  # 21.5 M is written 21
    if uniform_head == "matched":
        assert abs(result.params - small.params) / small.params < 1e-4


@pytest.mark.parametrize("context, position, extra", [
    ("cb", "mlp_end", 0.9), ("cb", "msa_end", 0.9), ("cb", "both", 1.8), ("cb", "mlp_front", 0.9),
    ("cb", "mlp_mid", 3.6),
    ("cb_gate", "mlp_end", 0.9), ("cb_gate", "both", 1.8), ("cb_gate", "mlp_mid", 3.6),
    ("cb_hybrid", "mlp_end", 1.8), ("cb_hybrid", "both", 3.6), ("cb_hybrid", "mlp_mid", 7.3),
])
def test_paper_tables_s16_and_s17(context, position, extra, small):
    model = paper_model("vit_small_patch16_224", context=context, context_position=position, context_layers="all")
    assert round((cost(model, 224).macs - small.macs) / 1e6, 1) == extra


@pytest.mark.parametrize("layers, per_cent", [("all", 0.02), ("upper", 0.01)])
def test_paper_section_3_2_cb_s(layers, per_cent, small):
    model = paper_model("vit_small_patch16_224", context="cb_s", context_layers=layers)
    assert round(100 * (cost(model, 224).params / small.params - 1), 2) == per_cent


@pytest.mark.parametrize("extra_block", ["msa", "mlp"])
def test_paper_figure_3_the_two_blocks_cost_nearly_the_same(extra_block, small):
    c, n = 384, 197
    without, with_extra = (cost(paper_model("vit_small_patch16_224", depth=8, extra_block=extra), 224)
                           for extra in ("none", extra_block))
    assert abs(with_extra.params - without.params - 4 * c**2) < 0.02 * 4 * c**2  # biases and LayerNorm are the rest
    maps = 2 * n**2 * c if extra_block == "msa" else 0
    assert with_extra.macs - without.macs == 4 * n * c**2 + maps


@pytest.mark.parametrize("position, factor", [
    ("mlp_end", 1), ("mlp_front", 1), ("mlp_mid", 4), ("msa_end", 1), ("both", 2),
])
@pytest.mark.parametrize("context, per_token, per_image", [("cb", 1, 0), ("cb_s", 1, 1), ("cb_gate", 1, 0),
                                                           ("cb_hybrid", 2, 0), ("se", 2, 2)])
def test_context_costs_operations_a_channel(context, per_token, per_image, position, factor):
    def macs(name):
        return cost(ViT(image_size=35, patch_size=5, dim=21, depth=3, num_heads=3, context=name,
                        context_position=position, context_layers="all"), 35).macs
    hidden = 84 // 16 if position == "mlp_mid" else 1  # of SE
    if context == "se":
        per_image *= hidden
    assert macs(context) - macs("none") == 3 * factor * 21 * (50 * per_token + per_image)


def test_a_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Dropout(), nn.Flatten(), nn.LazyLinear(7)).train()
    model(torch.zeros(1, 3, 11, 11))
    before = {name: p.clone() for name, p in model.named_parameters()}
    cost(model, 11)
    assert model.training and all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert all(p.grad is None for p in model.parameters())


def test_a_wide_image_costs_in_proportion_to_its_patches():
    # No attention here: the cost of a Mixer's channels grows with the tokens, N = 4 and N = 12.
    wide, square = (cost(Mixer(image_size=size, patch_size=4, num_classes=3, dim=7, depth=1), size)
                    for size in ((8, 24), 8))
    name = "blocks.0.mlp_channels"
    assert wide.macs_by_module[name] == 3 * square.macs_by_module[name] == 12 * 2 * 7 * 28


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_precision_does_not_change_what_is_counted(dtype):
    options = dict(image_size=8, patch_size=4, num_classes=3, dim=6, depth=2, num_heads=2, context="cb")
    assert cost(ViT(**options).to(dtype), 8) == cost(ViT(**options), 8)


@pytest.mark.parametrize("image_size, in_channels, message", [
    (12, 3, r"\(1, 3, 12, 12\); this model takes \(B, 3, 8, 8\)"), (8, 1, r"\(1, 1, 8, 8\); this model takes"),
    ((8, 0), 3, r"image_size=\(8, 0\)"), (8, 0, "in_channels=0"), (8.0, 3, "image_size=8.0"),
])
def test_other_images_than_the_models_are_named(image_size, in_channels, message):
    model = ViT(image_size=8, patch_size=4, num_classes=3, dim=6, depth=1, num_heads=2)
    with pytest.raises(ValueError, match=message):
        cost(model, image_size, in_channels)
    assert model.training

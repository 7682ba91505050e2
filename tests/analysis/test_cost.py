import pytest
import torch
from torch import nn

from minivit.analysis import cost
from minivit.models import ViT, create_model


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


@pytest.mark.parametrize("name, params, macs", [
    ("vit_tiny_patch16_224", 5.7, 1.3), ("vit_small_patch16_224", 22.1, 4.6),  # the paper's table 5
])
def test_published_costs(name, params, macs):
    result = cost(create_model(name), 224)
    assert (round(result.params / 1e6, 1), round(result.macs / 1e9, 1)) == (params, macs)


@pytest.mark.parametrize("position, factor", [
    ("mlp_end", 1), ("mlp_front", 1), ("mlp_mid", 4), ("msa_end", 1), ("both", 2),
])
@pytest.mark.parametrize("context", ["cb", "cb_s"])
def test_context_costs_one_addition_a_channel_and_token(position, factor, context):
    def macs(name):
        return cost(ViT(image_size=35, patch_size=5, dim=21, depth=3, num_heads=3, context=name,
                        context_position=position, context_layers="all"), 35).macs
    assert macs(context) - macs("none") == 3 * factor * 50 * 21


def test_a_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Dropout(), nn.Flatten(), nn.LazyLinear(7)).train()
    model(torch.zeros(1, 3, 11, 11))
    before = {name: p.clone() for name, p in model.named_parameters()}
    cost(model, 11)
    assert model.training and all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert all(p.grad is None for p in model.parameters())

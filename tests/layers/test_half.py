"""Half precision: sums or products may leave its range on the way, but the results must not."""

import pytest
import torch

from minivit.layers import ContextBroadcast, ScaledContextBroadcast
from minivit.mixers import Attention, AttentionDownsample, LessAttention, TokenMap, UniformHeadAttention
from minivit.mixers.scores import Factors, attend
from minivit.models import ViT

HALVES = [(torch.float16, 2**-9), (torch.bfloat16, 2**-6)]
N, C, H = 257, 8, 2


def compare(layer, dtype, tolerance, *inputs, run=None):
    """Run a layer in half precision and, with the same rounded numbers, in float64."""
    run = run or type(layer).__call__
    half = run(layer.to(dtype), *(x.to(dtype) for x in inputs))
    exact = run(layer.double(), *(x.to(dtype).double() for x in inputs))
    assert half.isfinite().all() and half.dtype == dtype
    torch.testing.assert_close(half.double(), exact, rtol=tolerance, atol=tolerance * exact.abs().max().item())


@pytest.mark.parametrize("dtype, tolerance", HALVES)
@pytest.mark.parametrize("name", ["cb", "cb_s", "uniform"])
def test_a_mean_over_many_large_tokens(name, dtype, tolerance):
    torch.manual_seed(0)
    x = 1000 + 300 * torch.randn(2, N, C)  # their sum is four times what float16 holds
    layer = {"cb": ContextBroadcast(), "cb_s": ScaledContextBroadcast(C),
             "uniform": UniformHeadAttention(C, H)}[name]
    for p in layer.parameters():
        torch.nn.init.normal_(p, std=0.1)
    if name == "uniform":  # the mean alone: the other heads' softmax of such numbers is another matter
        compare(layer, dtype, tolerance, x, run=lambda layer, x: layer.proj(layer.value(x.mean(dim=1))))
    else:
        compare(layer, dtype, tolerance, x)


@pytest.mark.parametrize("dtype, tolerance", HALVES)
@pytest.mark.parametrize("key_side", [None, 8])
def test_merged_scores_are_normalised(key_side, dtype, tolerance):
    torch.manual_seed(0)
    layer = AttentionDownsample(2, 3, 8, key_side=key_side)
    torch.nn.init.normal_(layer.heads)
    compare(layer, dtype, tolerance, (2e4 * torch.randn(2, 2, 64, 64)).clamp(-6e4, 6e4))  # squares are 4e8


@pytest.mark.parametrize("dtype, tolerance", HALVES)
@pytest.mark.parametrize("rank", [None, 3])
def test_large_scores_are_transformed(rank, dtype, tolerance):
    torch.manual_seed(0)
    layer = TokenMap(64, rank)
    if rank:
        torch.nn.init.normal_(layer.upper, std=0.1)
    compare(layer, dtype, tolerance, 3e3 * torch.randn(2, 2, 64, 64))


@pytest.mark.parametrize("dtype, tolerance", HALVES)
def test_less_attention_of_scores_whose_bare_product_overflows(dtype, tolerance):
    # q k is 80 * 80 * 64 = 409600 for the first key; scaled, 51200. The rows of a map of which each has one key.
    q = torch.full((1, 1, 5, 64), 80.0)
    k = q * torch.tensor([1.0, 0.5, 0.25, 0.1, 0.0])[:, None]
    layer = LessAttention(64, 1, grid=(1, 5))
    x = torch.randn(1, 5, 64)
    with torch.no_grad():
        want = layer(x, Factors(q, k, 64**-0.5))
        layer.to(dtype)
        factors = Factors(q.to(dtype), k.to(dtype), 64**-0.5)
        for scores in (factors, factors.product(), factors._replace(residual=torch.zeros(1, 1, 5, 5, dtype=dtype))):
            torch.testing.assert_close(layer(x.to(dtype), scores).float(), want, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dtype, tolerance", HALVES)
def test_softmax_of_large_scores(dtype, tolerance):
    torch.manual_seed(0)
    scores, v = (1e4 * torch.randn(1, 2, N, N)).to(dtype), torch.randn(1, 2, N, 3).to(dtype)
    torch.testing.assert_close(attend(scores, v).double(), attend(scores.double(), v.double()),
                               rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype, tolerance", HALVES)
def test_asking_for_maps_does_not_change_the_output(dtype, tolerance):
    torch.manual_seed(0)
    layer = Attention(16, 1).to(dtype)
    layer.qkv.weight.data.mul_(15)  # queries times keys leave float16, their quarter does not
    x = 8 * torch.randn(2, 7, 16).to(dtype)
    out, maps = layer(x, return_attention=True)
    q, k, _ = layer.qkv(x).chunk(3, dim=-1)
    assert 65504 < (q.float() @ k.float().mT).abs().max() < 4 * 65504
    torch.testing.assert_close(out, layer(x), rtol=8 * tolerance, atol=8 * tolerance * out.abs().max().item())
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 1, 7))


@pytest.mark.parametrize("options", [{}, {"attention_layers": [0]}, {"context": "cb"}, {"uniform_head": "replace"},
                                     {"attention_layers": [0], "less_attention_form": "factors"}])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_whole_model_in_half_precision(dtype, options):
    torch.manual_seed(0)
    model = ViT(image_size=8, patch_size=2, dim=12, depth=3, num_heads=2, num_classes=5, **options).eval()
    images = torch.randn(3, 3, 8, 8)
    want = model(images)
    half = model.to(dtype)
    logits, maps = half(images.to(dtype), return_attention=True)
    torch.testing.assert_close(half(images.to(dtype)).float(), want, rtol=0.1, atol=0.02)
    torch.testing.assert_close(logits.float(), want, rtol=0.1, atol=0.02)
    assert all(layer.dtype == torch.float32 for layer in maps)

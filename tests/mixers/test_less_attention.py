import pytest
import torch
from torch import nn

from minivit.layers import Block
from minivit.mixers import Attention, Factors, LessAttention, Product, SpatialReduction, TokenMap

B, H, D, S, RATIO = 2, 3, 5, 6, 2
N, M, C = S * S, (S // RATIO) ** 2, H * D
TOLERANCE = dict(atol=1e-12, rtol=0)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def x():
    return torch.randn(B, N, C, dtype=torch.float64)


def make(**options):
    torch.manual_seed(0)
    return LessAttention(C, H, grid=(1, N), **options).double()


def disturbed(layer):
    """Move every weight: what starts at the identity or at zero would hide a mistake."""
    for p in layer.parameters():
        p.data += 0.1 * torch.randn_like(p)
    return layer


@pytest.mark.parametrize("rank", [None, 1, 4])
@pytest.mark.parametrize("form", ["scores", "factors"])
@pytest.mark.parametrize("fused", [True, False])
def test_untrained_repeats_the_map_below(x, rank, form, fused):
    _, below = Attention(C, H, fused=fused).double()(x, return_scores=True)
    assert (below.scores is None) is fused
    out, maps = make(rank=rank, form=form)(x, below, return_attention=True)
    torch.testing.assert_close(maps, below.map(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("rank", [None, 4])
def test_is_the_equation(x, rank):
    layer = disturbed(make(num_keys=M, rank=rank, reduction=SpatialReduction(C, RATIO)))
    scores = torch.randn(B, H, N, M, dtype=torch.float64)
    theta, psi = layer.theta.matrix(), layer.psi.matrix()
    assert theta.shape == (M, M) and psi.shape == (N, N)
    want = torch.einsum("pn,bhnm,qm->bhpq", psi, scores, theta)  # Psi on queries, Theta on keys
    out, got = layer(x, scores, return_scores=True)
    torch.testing.assert_close(got.product(), want, **TOLERANCE)
    values = layer.v(layer.reduction(x)).reshape(B, M, H, D)
    heads = torch.einsum("bhnm,bmhd->bnhd", want.softmax(-1), values).flatten(2)
    torch.testing.assert_close(out, layer.proj(heads), **TOLERANCE)
    torch.testing.assert_close(layer(x, scores, return_attention=True)[1], want.softmax(-1), **TOLERANCE)
    torch.testing.assert_close(layer(x, scores), out, **TOLERANCE)


@pytest.mark.parametrize("rank", [None, 4])
def test_factors_give_what_scores_give_in_value_and_gradient(x, rank):
    layers = nn.ModuleList([disturbed(make(rank=rank, form="factors")), disturbed(make(rank=rank, form="factors"))])
    q, k = torch.randn(2, B, H, N, D, dtype=torch.float64)
    results = []
    for as_one in (True, False):
        ends = [q.clone().requires_grad_(), k.clone().requires_grad_()]
        scores = Factors(*ends, D**-0.5)
        scores = scores.product() if as_one else scores
        layers.zero_grad()
        out = x
        for layer in layers:
            out, scores = layer(out, scores, return_scores=True)
        assert isinstance(scores, Factors) is not as_one
        out.square().sum().backward()
        results.append([out, *[end.grad for end in ends], *[p.grad.clone() for p in layers.parameters()]])
    for one, factors in zip(*results, strict=True):
        torch.testing.assert_close(one, factors, atol=1e-9, rtol=1e-9)


def test_scores_are_the_map_before_softmax_and_a_residual_is_added_to_them(x):
    fused, unfused = (Attention(C, H, fused=fused, residual=True).double() for fused in (True, False))
    unfused.load_state_dict(fused.state_dict())
    residual = torch.randn(B, H, N, N, dtype=torch.float64)
    for below in ([], [residual], [Product(residual)]):
        out, maps, scores = fused(x, *below, return_attention=True, return_scores=True)
        for same, lazy in (fused(x, *below, return_scores=True), unfused(x, *below, return_scores=True)):
            torch.testing.assert_close(same, out, **TOLERANCE)
            torch.testing.assert_close(lazy.product(), scores.product(), **TOLERANCE)
            torch.testing.assert_close(lazy.map(), maps, **TOLERANCE)
    torch.testing.assert_close(scores.product() - residual, fused(x, return_scores=True)[1].product(), **TOLERANCE)
    # With a residual there is no product of factors alone.
    for form in ("scores", "factors"):
        layer = disturbed(make(form=form))
        torch.testing.assert_close(layer(x, fused(x, residual, return_scores=True)[1]), layer(x, scores), **TOLERANCE)


@pytest.mark.parametrize("bias", [True, False])
def test_fewer_keys_are_those_of_merged_squares(x, bias):
    attention = Attention(C, H, qkv_bias=bias, reduction=SpatialReduction(C, RATIO)).double()
    assert (attention.qkv.bias is None) is not bias
    out, maps = attention(x, return_attention=True)
    assert maps.shape == (B, H, N, M)
    q = attention.qkv(x).chunk(3, -1)[0]
    k, v = attention.qkv(attention.reduction(x)).chunk(3, -1)[1:]
    q, k, v = (part.unflatten(-1, (H, D)).transpose(1, 2) for part in (q, k, v))
    want = (q @ k.mT / D**0.5).softmax(-1)
    torch.testing.assert_close(maps, want, **TOLERANCE)
    torch.testing.assert_close(out, attention.proj((want @ v).transpose(1, 2).flatten(2)), **TOLERANCE)
    torch.testing.assert_close(attention(x), out, **TOLERANCE)


def test_spatial_reduction_merges_squares_where_they_lie(x):
    reduction = SpatialReduction(C, RATIO).double()
    grid = x.reshape(B, S, S, C)
    square = grid[:, 2:4, 4:6]  # row 1, column 2 of 3 x 3
    by_hand = torch.einsum("bhwc,ochw->bo", square, reduction.conv.weight) + reduction.conv.bias
    torch.testing.assert_close(reduction(x)[:, 5], reduction.norm(by_hand), **TOLERANCE)


@pytest.mark.parametrize("rank", [None, 3])
def test_a_token_map_multiplies_the_tokens(rank):
    token_map = disturbed(TokenMap(7, rank)).double()
    x = torch.randn(2, 7, 5).double()
    torch.testing.assert_close(token_map(x), token_map.matrix() @ x, **TOLERANCE)
    torch.testing.assert_close(token_map(x.mT, dim=-1), x.mT @ token_map.matrix().mT, **TOLERANCE)
    if rank:
        assert torch.linalg.matrix_rank(token_map.matrix() - torch.eye(7)) == rank


def test_the_rank_changes_no_other_weight():
    plain, low = (make(rank=rank) for rank in (None, 4))
    for name in ("v.weight", "proj.weight"):
        assert torch.equal(plain.get_parameter(name), low.get_parameter(name))


@pytest.mark.parametrize("options, message", [
    ({"rank": 0}, "rank=0.*36"), ({"rank": N}, "rank=36.*36"), ({"num_keys": M, "rank": M}, "rank=9.*9"),
    ({"num_keys": 0}, "num_keys=0"), ({"form": "score"}, "form='score' is not known.*scores, factors"),
])
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


@pytest.mark.parametrize("shape, message", [
    ((B, H, N - 1, N), "35 tokens by 36 keys.*36 by 36.*interpolate_weights"),
    ((B, H, N, M), "36 tokens by 9 keys"), ((B, H + 1, N, N), "4 heads.*num_heads=3"),
])
def test_scores_that_do_not_fit_are_named(x, shape, message):
    with pytest.raises(ValueError, match=message):
        make()(x, torch.zeros(shape))
    with pytest.raises(ValueError, match="scores=None.*layer below"):
        make()(x, None)


def test_a_block_without_scores_below_says_so(x):
    with pytest.raises(ValueError, match="scores=None.*layer below"):
        Block(C, LessAttention(C, H, grid=(1, N))).double()(x)


@pytest.mark.parametrize("layer, scores", [
    (Attention(C, H, dropout=0.5), []), (LessAttention(C, H, grid=(1, N), dropout=0.5), [torch.zeros(B, H, N, N)]),
])
def test_dropout_acts_on_the_output(layer, scores):
    zeros = (layer.train()(torch.randn(B, N, C), *scores) == 0).float().mean()
    assert abs(zeros - 0.5) < 4 * (0.25 / (B * N * C)) ** 0.5  # four standard deviations
    assert (layer.eval()(torch.randn(B, N, C), *scores) != 0).all()


def test_maps_are_distributions_in_half_the_precision_too(x):
    attention, layer = Attention(C, H).bfloat16(), make().bfloat16()
    scores = attention(x.bfloat16(), return_scores=True)[1]
    for maps in (attention(x.bfloat16(), return_attention=True)[1],
                 layer(x.bfloat16(), scores, return_attention=True)[1]):
        assert maps.dtype == torch.float32
        torch.testing.assert_close(maps.sum(-1), torch.ones(B, H, N))


@pytest.mark.parametrize("tokens, message", [(35, "35 tokens"), (25, "25 tokens.*ratio=2")])
def test_a_grid_that_cannot_be_reduced_is_named(tokens, message):
    with pytest.raises(ValueError, match=message):
        SpatialReduction(C, RATIO)(torch.zeros(B, tokens, C))
    with pytest.raises(ValueError, match="ratio=0"):
        SpatialReduction(C, 0)

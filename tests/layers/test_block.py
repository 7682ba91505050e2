import pytest
import torch

from minivit.layers import Attention, Block, ContextBroadcast, DropPath, LessAttention, Mlp

B, N, H, C = 2, 7, 3, 15


def make_block(**options):
    torch.manual_seed(0)
    return Block(C, Attention(C, H), **options).double()


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(B, N, C, dtype=torch.float64)


def test_is_two_residual_branches(x):
    block = make_block()
    middle = x + block.attn(block.norm1(x))
    torch.testing.assert_close(block(x), middle + block.mlp(block.norm2(middle)))


def test_is_as_wide_as_a_published_block_and_divides_by_as_much():
    block = make_block()
    assert block.mlp.fc1.out_features == 4 * C and block.norm1.eps == block.norm2.eps == 1e-6


def test_hands_the_scores_of_the_block_below_to_its_mixer(x):
    block = Block(C, LessAttention(C, H, grid=(1, N))).double()
    scores = torch.randn(B, H, N, N, dtype=torch.float64)
    middle = x + block.attn(block.norm1(x), scores)
    torch.testing.assert_close(block(x, scores), middle + block.mlp(block.norm2(middle)))


def test_returns_what_its_mixer_returns_beside_tokens(x):
    block = make_block(context="cb")
    want = block.attn(block.norm1(x), return_attention=True)[1]
    for asks in ({"return_attention": True, "return_scores": True}, {"return_attention": True},
                 {"return_scores": True}, {"return_attention": False}):
        out, *found = block(x, **asks) if any(asks.values()) else (block(x, **asks),)
        torch.testing.assert_close(out, block(x))
        assert len(found) == sum(asks.values())
        for one in found:
            torch.testing.assert_close(one if isinstance(one, torch.Tensor) else one.map(), want)


@pytest.mark.parametrize("position, places", [
    ("mlp_front", ["mlp.front"]), ("mlp_mid", ["mlp.mid"]), ("mlp_end", ["mlp.end"]), ("msa_end", ["context"]),
    ("both", ["context", "mlp.end"]),
])
def test_context_stands_where_it_is_told(position, places):
    block = make_block(context="cb", context_position=position)
    assert [name for name, module in block.named_modules() if isinstance(module, ContextBroadcast)] == places


def test_cb_is_inside_the_branch_and_not_on_the_residual(x):
    block, plain = make_block(context="cb"), make_block()
    middle = x + plain.attn(plain.norm1(x))
    torch.testing.assert_close(block(x), middle + ContextBroadcast()(plain.mlp(plain.norm2(middle))))


def test_mid_and_end_are_the_same_function_with_the_same_gradients_and_front_is_another(x):
    results = {}
    for position in ("mlp_end", "mlp_mid", "mlp_front"):
        block = make_block(context="cb", context_position=position)
        out = block(x)
        out.square().sum().backward()
        results[position] = [out.detach(), *(p.grad for p in block.parameters())]
    for end, mid in zip(results["mlp_end"], results["mlp_mid"], strict=True):
        torch.testing.assert_close(mid, end, atol=1e-12, rtol=1e-12)
    assert (results["mlp_front"][0] - results["mlp_end"][0]).abs().max() > 1e-3


def test_before_the_activation_cb_is_another_function(x):
    mlp = make_block().mlp
    cb = ContextBroadcast()
    before, after = (mlp.fc2(h) for h in (mlp.act(cb(mlp.fc1(x))), cb(mlp.act(mlp.fc1(x)))))
    assert (before - after).abs().max() > 1e-4
    torch.testing.assert_close(after, cb(mlp(x)))


def test_mlp_sees_each_token_alone(x):
    mlp = Mlp(C, 4 * C).double()
    torch.testing.assert_close(mlp(x)[:, 3], mlp(x[:, 3]))


def test_unknown_position_is_named_with_the_known():
    with pytest.raises(ValueError, match="context_position='end'.*mlp_end, mlp_mid, mlp_front, msa_end, both"):
        make_block(context="cb", context_position="end")


@pytest.mark.parametrize("shape", [(), (3,), (3, 5), (1, 3, 5)])
def test_drop_path_keeps_or_drops_whole_images_and_the_mean(shape):
    torch.manual_seed(0)
    rate, images = 0.3, torch.ones(4001, *shape)
    out = DropPath(rate).train()(images)
    assert out.shape == images.shape
    kept = out.view(len(images), -1)[:, 0] > 0
    torch.testing.assert_close(out, kept.view(-1, *[1] * len(shape)) / (1 - rate) * images)
    # Four standard deviations of the share kept, sqrt(0.3 * 0.7 / 4001).
    assert abs(kept.float().mean() - (1 - rate)) < 4 * (rate * (1 - rate) / len(images)) ** 0.5


def test_drop_path_does_nothing_in_evaluation():
    images = torch.randn(5, 3, 2)
    assert torch.equal(DropPath(0.9).eval()(images), images) and torch.equal(DropPath().train()(images), images)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_drop_path_rate_is_a_probability_below_one(rate):
    with pytest.raises(ValueError, match="rate="):
        DropPath(rate)

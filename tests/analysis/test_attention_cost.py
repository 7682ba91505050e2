import pytest
import torch

from minivit.analysis import attention_cost, attention_macs, break_even_tokens, cost, latency
from minivit.models import LaViT, ViT

VIT = dict(image_size=15, patch_size=3, dim=14, depth=2, num_heads=7)  # 26 tokens
STAGE = dict(image_size=18, patch_size=3, dims=(14,), depths=(2,), num_heads=(7,), mlp_ratios=(4,))  # 36 tokens


@pytest.mark.parametrize("rank", [None, 3])
@pytest.mark.parametrize("form, kind", [("scores", "la"), ("factors", "la_factors")])
def test_is_what_a_layer_of_a_vit_spends(form, kind, rank):
    n, c, h = 26, 14, 7
    va = cost(ViT(**VIT), 15)
    la = cost(ViT(**VIT, attention_layers=[0], less_attention_form=form, less_attention_rank=rank), 15)
    rest = n * c**2 + n * n * c + n * c**2  # values, weighted mean, projection
    assert va.macs_by_module["blocks.1.attn"] == rest + attention_macs("va", n, c, h)
    assert la.macs_by_module["blocks.1.attn"] == rest + attention_macs(kind, n, c, h, rank=rank)
    assert la.macs_by_module["blocks.0.attn"] == va.macs_by_module["blocks.0.attn"]


@pytest.mark.parametrize("rank", [None, 3])
@pytest.mark.parametrize("ratio", [1, 2])
def test_is_what_a_layer_with_fewer_keys_spends(ratio, rank):
    n, m, c, h = 36, 36 // ratio**2, 14, 7
    va, la = (cost(LaViT(**STAGE, reductions=(ratio,), attention_depths=(computed,), less_attention_rank=its_rank), 18)
              for computed, its_rank in ((2, None), (1, rank)))
    rest = m * c**2 + n * m * c + n * c**2 + (m * c * c * ratio**2 if ratio > 1 else 0)  # and what merges
    name = "stages.0.blocks.1.attn"
    assert va.macs_by_module[name] == rest + attention_macs("va", n, c, h, num_keys=m)
    assert la.macs_by_module[name] == rest + attention_macs("la", n, c, h, num_keys=m, rank=rank)


@pytest.mark.parametrize("dim, heads", [(384, 6), (128, 4), (768, 12)])
@pytest.mark.parametrize("kind, rank", [("la", None), ("la_factors", None), ("la", 40)])
def test_break_even_is_where_the_costs_meet(dim, heads, kind, rank):
    n = break_even_tokens(dim, heads, kind=kind, rank=rank)
    for tokens, cheaper in ((int(n) - 1, True), (int(n) + 2, False)):
        less = attention_macs(kind, tokens, dim, heads, rank=rank)
        assert (less < attention_macs("va", tokens, dim, heads)) is cheaper


def test_what_the_text_says_of_vit_small():
    assert int(break_even_tokens(384, 6)) == 173
    assert round(attention_macs("la", 196, 384, 6) / 1e6) == 90
    assert round(attention_macs("va", 196, 384, 6) / 1e6) == 73
    assert break_even_tokens(384, 6, kind="la_factors") == 384


@pytest.mark.parametrize("kind, rank, n", [("la", 16, float("inf")), ("la_factors", 191, float("inf")),
                                           ("la_factors", 192, 0)])
def test_low_rank_can_be_cheaper_for_any_number_of_tokens(kind, rank, n):
    assert break_even_tokens(384, 6, kind=kind, rank=rank) == n
    for tokens in (200, 1_000, 100_000):
        less = attention_macs(kind, tokens, 384, 6, rank=rank)
        assert (less < attention_macs("va", tokens, 384, 6)) is (n > 0)


@pytest.mark.parametrize("min_time_s", [0, -1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_named_before_anything_is_made(min_time_s):
    with pytest.raises(ValueError, match=f"min_time_s={min_time_s}"):
        latency(lambda size: pytest.fail("it was called"), [3], min_time_s=min_time_s)


def test_latency_takes_whatever_the_step_is_made_of():
    assert len(latency(lambda size: lambda: torch.ones(size), [(3, 5), 7], min_time_s=0.001)) == 2


def test_latency_calls_every_size():
    made = []

    def make_step(n):
        made.append(n)
        return lambda: torch.ones(n, n) @ torch.ones(n, n)

    found = latency(make_step, [3, 5], min_time_s=0.01)
    assert made == [3, 5]
    for one in found:
        assert 0 < one.low_s <= one.median_s <= one.high_s and one.calls > 1


@pytest.mark.parametrize("call_s, calls, made", [
    (1e-3, 20, 22),  # ten blocks of two calls, after one to warm up and one to see how long a call is
    (7e-3, 3, 4), (0.5, 1, 2),  # each call a block
])
def test_latency_takes_the_time_it_is_given(monkeypatch, call_s, calls, made):
    clock = [0.0]
    monkeypatch.setattr(attention_cost, "perf_counter", lambda: sum(clock))
    [found] = latency(lambda _: lambda: clock.append(call_s), [1], min_time_s=0.0199)
    assert (found.calls, len(clock) - 1) == (calls, made)
    assert found.low_s == pytest.approx(call_s) == found.high_s


@pytest.mark.parametrize("arguments, options, message", [
    (("ma", 1, 1, 1), {}, "kind='ma'.*va, la, la_factors"), (("la", 0, 1, 1), {}, "num_tokens=0"),
    (("la", 1, 1, 1), {"rank": 0}, "rank=0"), (("la", 1, 1, 1), {"num_keys": 0}, "num_keys=0"),
])
def test_bad_arguments_are_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        attention_macs(*arguments, **options)
    with pytest.raises(ValueError, match="kind='va'.*la, la_factors"):
        break_even_tokens(1, 1, kind="va")
    with pytest.raises(ValueError, match="num_heads=0"):
        break_even_tokens(1, 0)

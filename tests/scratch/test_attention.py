import numpy as np
import pytest
import torch
from torch.func import functional_call

from minivit.layers import Attention
from minivit.scratch import (
    attention,
    attention_backward,
    merge_heads,
    self_attention,
    self_attention_backward,
    split_heads,
)

B, H, N, D = 2, 3, 7, 5
C = H * D


@pytest.fixture
def params(draw):
    return {"qkv.weight": draw(3 * C, C), "qkv.bias": draw(3 * C), "proj.weight": draw(C, C), "proj.bias": draw(C)}


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("front", [(), (B, H)])
def test_attention_is_that_of_torch(check_operation, draw, scale, front):
    check_operation(lambda q, k, v: attention(q, k, v, scale),
                    lambda d, q, k, v: attention_backward(d, q, k, v, attention(q, k, v, scale)[1], scale),
                    lambda q, k, v: ((q @ k.mT) * (scale or D**-0.5)).softmax(-1) @ v,
                    draw(*front, N, D), draw(*front, N, D), draw(*front, N, D))


def test_self_attention_is_the_layer(check_operation, draw, params):
    layer = Attention(C, H).double()
    check_operation(lambda x, params: self_attention(x, params, H),
                    lambda d, x, params: self_attention_backward(d, self_attention(x, params, H)[1]),
                    lambda x, params: functional_call(layer, params, (x,)), draw(B, N, C), params)


def test_maps_are_those_of_the_layer_and_their_rows_sum_to_one(draw, params):
    x = draw(B, N, C)
    maps = self_attention(x, params, H)[1]["maps"]
    tensors = {name: torch.tensor(value) for name, value in params.items()}
    _, want = functional_call(Attention(C, H).double(), tensors, (torch.tensor(x),), {"return_attention": True})
    np.testing.assert_allclose(maps, want.numpy(), rtol=1e-9)
    np.testing.assert_allclose(maps.sum(-1), 1, rtol=1e-12)


def test_splitting_and_merging_heads_are_inverse(draw):
    x = draw(B, N, C)
    heads = split_heads(x, H)
    assert heads.shape == (B, H, N, D)
    np.testing.assert_array_equal(heads[:, 1], x[:, :, D:2 * D])
    np.testing.assert_array_equal(merge_heads(heads), x)


def test_float32_stays_float32(draw, params):
    small = {name: value.astype(np.float32) for name, value in params.items()}
    out, saved = self_attention(draw(B, N, C).astype(np.float32), small, H)
    d_x, d_params = self_attention_backward(out, saved)
    assert {array.dtype for array in (out, d_x, *d_params.values())} == {np.dtype(np.float32)}


@pytest.mark.parametrize("call, message", [
    (lambda x: attention(x(N, D), x(N, 3), x(N, D)), r"k has shape \(7, 3\); expected \(7, 5\)"),
    (lambda x: attention(x(N, D), x(N, D), x(3, D)), r"v has shape \(3, 5\); expected \(7, 5\)"),
    (lambda x: attention(x(N, D), x(N, D), x(N, D), scale=0), "scale=0"),
    (lambda x: attention_backward(x(N, D), x(N, D), x(N, D), x(N, D), np.eye(3)), r"maps has shape \(3, 3\); expected"),
    (lambda x: split_heads(x(B, N, 7), 3), "num_heads=3 does not divide the channels of x, 7"),
    (lambda x: self_attention(x(N, C), {}, H), r"x has shape \(7, 15\); expected \(B, N, C\)"),
    (lambda x: self_attention(x(B, N, C), {"qkv.weight": x(3, C)}, H),
     "lacks the keys proj.bias, proj.weight, qkv.bias"),
    (lambda x: self_attention(x(B, N, C), {"qkv.weight": x(3, C), "qkv.bias": x(3 * C), "proj.weight": x(C, C),
                                           "proj.bias": x(C)}, H),
     r"params\['qkv.weight'\] has shape \(3, 15\); expected \(45, 15\)"),
])
def test_bad_arguments_are_named(draw, call, message):
    with pytest.raises(ValueError, match=message):
        call(draw)

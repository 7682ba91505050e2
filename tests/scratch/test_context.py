import numpy as np
import pytest
import torch

from minivit.layers import ContextBroadcast
from minivit.scratch import (
    context_broadcast,
    context_broadcast_backward,
    scaled_context_broadcast,
    scaled_context_broadcast_backward,
    uniform_attention,
    uniform_attention_backward,
)

B, N, C = 2, 5, 7


def test_uniform_attention_is_a_map_of_weights_one_over_n(check_operation, draw):
    check_operation(uniform_attention, lambda d, x: uniform_attention_backward(d),
                    lambda x: torch.full((N, N), 1 / N, dtype=x.dtype) @ x, draw(B, N, C))


def test_cb_is_that_of_the_layer(check_operation, draw):
    check_operation(context_broadcast, lambda d, x: context_broadcast_backward(d), ContextBroadcast(), draw(B, N, C))


def test_cb_s_is_that_of_the_layer(check_operation, draw):
    check_operation(scaled_context_broadcast, scaled_context_broadcast_backward,
                    lambda x, scale: x + scale * x.mean(1, keepdim=True), draw(B, N, C), draw(C))


def test_cb_keeps_the_mean_and_halves_the_rest(draw):
    x = draw(B, N, C)
    mean, out = x.mean(1, keepdims=True), context_broadcast(x)
    np.testing.assert_allclose(out.mean(1, keepdims=True), mean, atol=1e-15)
    np.testing.assert_allclose(out - mean, (x - mean) / 2, atol=1e-15)


@pytest.mark.parametrize("call, message", [
    (lambda x: context_broadcast(x(N, C)), r"x has shape \(5, 7\); expected \(B, N, C\)"),
    (lambda x: scaled_context_broadcast(x(B, N, C), x(N)), r"scale has shape \(5,\); expected \(7,\)"),
])
def test_bad_arguments_are_named(draw, call, message):
    with pytest.raises(ValueError, match=message):
        call(draw)

import numpy as np
import pytest
import torch

from minivit.layers import LessAttention
from minivit.scratch import attention, less_attention, less_attention_backward

B, H, N, M, D = 2, 3, 7, 5, 4


def identity_and_a_little(draw, size):
    return np.eye(size) + 0.1 * draw(size, size)


@pytest.fixture
def inputs(draw):
    return draw(B, H, N, M), draw(B, H, M, D), identity_and_a_little(draw, M), identity_and_a_little(draw, N)


@pytest.mark.parametrize("front", [(), (B, H)])
def test_is_that_of_torch(check_operation, draw, front):
    check_operation(less_attention, lambda d, *taken: less_attention_backward(d, less_attention(*taken)[1]),
                    lambda s, v, theta, psi: (psi @ s @ theta.mT).softmax(-1) @ v,
                    draw(*front, N, M), draw(*front, M, D), identity_and_a_little(draw, M),
                    identity_and_a_little(draw, N))


def test_two_layers_hand_their_gradients_down(check_operation, draw, inputs):
    """The scores of the first layer have a gradient from its own map and one from the layer above."""
    s, v, theta, psi = inputs

    def forward(s, v, theta, psi):
        first, saved = less_attention(s, v, theta, psi)
        second, saved_above = less_attention(saved["scores"], v, theta, psi)
        return first + second, saved, saved_above

    def backward(d, *taken):
        _, saved, saved_above = forward(*taken)
        d_between, *above = less_attention_backward(d, saved_above)
        d_s, *below = less_attention_backward(d, saved, d_scores=d_between)
        return d_s, *(a + b for a, b in zip(above, below, strict=True))

    def in_torch(s, v, theta, psi):
        between = psi @ s @ theta.mT
        return between.softmax(-1) @ v + (psi @ between @ theta.mT).softmax(-1) @ v

    check_operation(forward, backward, in_torch, s, v, theta, psi)


def test_is_the_layer(inputs):
    s, v, theta, psi = (torch.tensor(x) for x in inputs)
    layer = LessAttention(H * D, H, grid=(1, N), num_keys=M).double()
    with torch.no_grad():
        layer.theta.weight.copy_(theta)
        layer.psi.weight.copy_(psi)
        got = layer.transform(s)
    np.testing.assert_allclose(less_attention(*inputs)[1]["scores"], got.numpy(), atol=1e-12)


def test_the_identity_repeats_attention(draw):
    q, k, v = draw(B, N, D), draw(B, N, D), draw(B, N, D)
    out, saved = less_attention(q @ k.swapaxes(1, 2) / D**0.5, v, np.eye(N), np.eye(N))
    want, maps = attention(q, k, v)
    np.testing.assert_allclose(saved["maps"], maps, atol=1e-12)
    np.testing.assert_allclose(out, want, atol=1e-12)


@pytest.mark.parametrize("changed, message", [
    ({1: (B, H, N, D)}, r"v has shape \(2, 3, 7, 4\); expected \(2, 3, 5, D\)"),
    ({2: (N, N)}, r"theta has shape \(7, 7\); expected \(5, 5\)"),
    ({3: (M, M)}, r"psi has shape \(5, 5\); expected \(7, 7\)"),
])
def test_bad_arguments_are_named(inputs, changed, message):
    with pytest.raises(ValueError, match=message):
        less_attention(*(np.zeros(changed[i]) if i in changed else x for i, x in enumerate(inputs)))


def test_bad_gradients_are_named(inputs):
    out, saved = less_attention(*inputs)
    with pytest.raises(ValueError, match="d_out has shape"):
        less_attention_backward(out[..., :-1], saved)
    with pytest.raises(ValueError, match="d_scores has shape"):
        less_attention_backward(out, saved, out)

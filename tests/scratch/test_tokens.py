import numpy as np
import pytest
import torch

from minivit.scratch import (
    add_class_token,
    add_class_token_backward,
    add_positions,
    add_positions_backward,
    class_token_pool,
    class_token_pool_backward,
    mean_pool,
    mean_pool_backward,
    sine_positions,
)

B, N, C = 2, 5, 7


def test_class_token(check_operation, draw):
    check_operation(add_class_token, lambda d, x, token: add_class_token_backward(d),
                    lambda x, token: torch.cat([token.expand(len(x), -1, -1), x], 1), draw(B, N, C), draw(1, 1, C))


def test_positions(check_operation, draw):
    check_operation(add_positions, lambda d, x, positions: add_positions_backward(d), torch.add,
                    draw(B, N, C), draw(1, N, C))


def test_class_token_pool(check_operation, draw):
    check_operation(class_token_pool, lambda d, x: class_token_pool_backward(d, N), lambda x: x[:, 0], draw(B, N, C))


def test_mean_pool_leaves_the_class_token_out(check_operation, draw):
    check_operation(mean_pool, lambda d, x: mean_pool_backward(d, N), lambda x: x[:, 1:].mean(1), draw(B, N, C))


def test_sine_positions():
    positions = sine_positions(11, 6)
    assert positions.shape == (1, 11, 6)
    np.testing.assert_allclose(positions[0, 3, :2], [np.sin(3), np.cos(3)])
    np.testing.assert_allclose(positions[0, 3, 4:], [np.sin(3 / 10_000**(4 / 6)), np.cos(3 / 10_000**(4 / 6))])
    gram = positions[0] @ positions[0].T  # the inner product depends on the distance alone
    for distance in range(11):
        np.testing.assert_allclose(np.diagonal(gram, distance), gram[0, distance], atol=1e-12)


@pytest.mark.parametrize("call, message", [
    (lambda x: add_class_token(x(B, N, C), x(1, 1, 3)), r"cls_token has shape \(1, 1, 3\); expected \(1, 1, 7\)"),
    (lambda x: add_positions(x(B, N, C), x(1, 3, C)), r"pos_embed has shape \(1, 3, 7\); expected \(1, 5, 7\)"),
    (lambda x: mean_pool(x(B, C)), r"x has shape \(2, 7\); expected \(B, N, C\)"),
    (lambda x: sine_positions(5, 7), "dim=7"),
    (lambda x: sine_positions(0, 6), "num_tokens=0"),
])
def test_bad_arguments_are_named(draw, call, message):
    with pytest.raises(ValueError, match=message):
        call(draw)

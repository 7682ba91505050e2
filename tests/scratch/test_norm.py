import numpy as np
import pytest
import torch.nn.functional as F

from minivit.scratch import layer_norm, layer_norm_backward


def backward(d_out, x, weight, bias):
    return layer_norm_backward(d_out, x, weight)


@pytest.mark.parametrize("front", [(), (2,), (2, 3)])
def test_layer_norm_is_that_of_torch(check_operation, draw, front):
    check_operation(layer_norm, backward, lambda x, weight, bias: F.layer_norm(x, (7,), weight, bias, eps=1e-6),
                    draw(*front, 7), draw(7), draw(7))


def test_a_shift_and_a_scale_of_a_token_change_nothing(draw):
    x, weight, bias = draw(3, 7), draw(7), draw(7)
    np.testing.assert_allclose(layer_norm(5 * x + 11, weight, bias, eps=1e-15), layer_norm(x, weight, bias, eps=1e-15))


def test_a_constant_token_stays_finite(draw):
    bias = draw(7)
    np.testing.assert_allclose(layer_norm(np.full((2, 7), 3.0), draw(7), bias), [bias, bias])
    assert np.isfinite(layer_norm_backward(draw(2, 7), np.full((2, 7), 3.0), draw(7))[0]).all()


@pytest.mark.parametrize("call, message", [
    (lambda x: layer_norm(x(2, 5), x(7), x(7)), r"x has shape \(2, 5\); expected \(..., 7\)"),
    (lambda x: layer_norm(x(2, 7), x(7), x(5)), r"bias has shape \(5,\); expected \(7,\)"),
    (lambda x: layer_norm(x(2, 7), x(7), x(7), eps=0), "eps=0"),
    (lambda x: layer_norm_backward(x(2, 5), x(2, 7), x(7)), r"d_out has shape \(2, 5\); expected \(2, 7\)"),
])
def test_bad_arguments_are_named(draw, call, message):
    with pytest.raises(ValueError, match=message):
        call(draw)

import pytest
import torch.nn.functional as F

from minivit.scratch import linear, linear_backward


def backward(d_out, x, weight, bias):
    return linear_backward(d_out, x, weight)


@pytest.mark.parametrize("front", [(), (2,), (2, 3)])
def test_linear_is_that_of_torch(check_operation, draw, front):
    check_operation(linear, backward, F.linear, draw(*front, 5), draw(7, 5), draw(7))


def test_bias_may_be_left_out(draw):
    x, weight = draw(3, 5), draw(7, 5)
    assert (linear(x, weight) == linear(x, weight, 0 * draw(7))).all()


@pytest.mark.parametrize("x, weight, bias, message", [
    ((2, 3), (7, 5), (7,), r"x has shape \(2, 3\); expected \(..., 5\)"),
    ((2, 5), (7, 5), (5,), r"bias has shape \(5,\); expected \(7,\)"),
    ((2, 5), (7,), (7,), r"weight has shape \(7,\); expected \(O, I\)"),
])
def test_wrong_shapes_are_named(draw, x, weight, bias, message):
    with pytest.raises(ValueError, match=message):
        linear(draw(*x), draw(*weight), draw(*bias))


def test_wrong_gradient_is_named(draw):
    with pytest.raises(ValueError, match=r"d_out has shape \(2, 5\); expected \(2, 7\)"):
        linear_backward(draw(2, 5), draw(2, 5), draw(7, 5))

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minivit.scratch import cross_entropy, cross_entropy_backward, numerical_gradient

B, K = 5, 7
LABELS = np.array([0, 6, 3, 3, 2])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_is_that_of_torch(draw, smoothing):
    logits = 3 * draw(B, K)
    tensor = torch.tensor(logits, requires_grad=True)
    want = F.cross_entropy(tensor, torch.tensor(LABELS), label_smoothing=smoothing)
    want.backward()
    assert cross_entropy(logits, LABELS, smoothing) == pytest.approx(want.item(), rel=1e-12)
    gradient = cross_entropy_backward(logits, LABELS, smoothing)
    np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-9, atol=1e-15)
    by_differences = numerical_gradient(lambda z: cross_entropy(z, LABELS, smoothing), logits)
    np.testing.assert_allclose(gradient, by_differences, atol=1e-6)


def test_an_answer_that_favours_nothing_costs_ln_k():
    assert cross_entropy(np.zeros((B, K)), LABELS) == pytest.approx(math.log(K))


def test_huge_logits_stay_finite():
    assert cross_entropy(np.array([[1e4, -1e4]]), np.array([1])) == pytest.approx(2e4)


@pytest.mark.parametrize("logits, labels, smoothing, message", [
    ((B,), LABELS, 0, r"logits has shape \(5,\); wanted \(B, K\)"),
    ((B, K), LABELS[:3], 0, r"labels has shape \(3,\); wanted \(5,\)"),
    ((B, K), LABELS + 1, 0, r"labels must be whole numbers in \[0, 7\)"),
    ((B, K), LABELS / 2, 0, "whole numbers"),
    ((B, K), LABELS, 1.5, "label_smoothing=1.5"),
])
@pytest.mark.parametrize("function", [cross_entropy, cross_entropy_backward])
def test_bad_arguments_are_named(draw, function, logits, labels, smoothing, message):
    with pytest.raises(ValueError, match=message):
        function(draw(*logits), labels, smoothing)

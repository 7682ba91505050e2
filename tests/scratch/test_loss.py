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


MASKED = np.array([[-np.inf, 0, 1.0], [2, -np.inf, 0.5]])


@pytest.mark.parametrize("labels, smoothing, loss", [
    ([1, 0], 0.0, 0.7573374827504876),  # each row over the two classes it allows
    ([0, 0], 0.0, np.inf),              # the answer is ruled out
    ([1, 0], 0.1, np.inf),              # and smoothed targets ask for every class
    ([1, 0], 1.0, np.inf),
])
def test_a_class_that_is_ruled_out_costs_what_it_does_in_torch(labels, smoothing, loss):
    tensor, labels = torch.tensor(MASKED, requires_grad=True), np.array(labels)
    want = F.cross_entropy(tensor, torch.tensor(labels), label_smoothing=smoothing)
    want.backward()
    assert cross_entropy(MASKED, labels, smoothing) == pytest.approx(loss) == pytest.approx(want.item())
    np.testing.assert_allclose(cross_entropy_backward(MASKED, labels, smoothing), tensor.grad.numpy(), atol=1e-15)


@pytest.mark.parametrize("row", [[-np.inf] * 3, [np.nan, 0, 1], [np.inf, 0, 1]])
def test_where_torch_has_no_number_there_is_none(row):
    logits, labels = np.array([row, [0.0, 1, 2]]), np.array([1, 2])
    assert math.isnan(F.cross_entropy(torch.tensor(logits), torch.tensor(labels)).item())
    with np.errstate(invalid="ignore"):
        assert math.isnan(cross_entropy(logits, labels))
        gradient = cross_entropy_backward(logits, labels)
    assert np.isnan(gradient[0]).all() and np.isfinite(gradient[1]).all()


def test_labels_and_logits_may_be_tensors():
    logits, labels = torch.randn(B, K, requires_grad=True), torch.tensor(LABELS)
    assert cross_entropy(logits, labels) == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-6)


@pytest.mark.parametrize("logits, labels, smoothing, message", [
    ((B,), LABELS, 0, r"logits has shape \(5,\); expected \(B, K\)"),
    ((B, K), LABELS[:3], 0, r"labels has shape \(3,\); expected \(5,\)"),
    ((B, K), LABELS + 1, 0, r"labels must be whole numbers in \[0, 7\)"),
    ((B, K), LABELS / 2, 0, "whole numbers"),
    ((B, K), LABELS, 1.5, "label_smoothing=1.5"),
    ((B, K), LABELS, np.nan, "label_smoothing=nan"),
    ((0, K), LABELS[:0], 0, r"logits has shape \(0, 7\); expected at least one row"),
    ((B, K), LABELS > 2, 0, "whole numbers"),
])
@pytest.mark.parametrize("function", [cross_entropy, cross_entropy_backward])
def test_bad_arguments_are_named(draw, function, logits, labels, smoothing, message):
    with pytest.raises(ValueError, match=message):
        function(draw(*logits), labels, smoothing)

import numpy as np
import pytest
import torch

from minivit.scratch import softmax, softmax_backward, softmax_jacobian, softmax_jacobian_nuclear_norm

SHAPE = (2, 3, 7)  # the last axis is N
SCALES = (0.3, 1.0, 2.5)


@pytest.fixture
def scores():
    return np.random.default_rng(0).normal(size=SHAPE)


@pytest.mark.parametrize("scale", SCALES)
def test_softmax_equals_torch(scores, scale):
    np.testing.assert_allclose(softmax(scores, scale), torch.tensor(scale * scores).softmax(-1).numpy(), rtol=1e-12)


def test_softmax_of_huge_scores_is_finite():
    np.testing.assert_array_equal(softmax(np.array([1e4, -1e4, 0.0])), [1.0, 0.0, 0.0])


def test_softmax_ignores_a_constant(scores):
    np.testing.assert_allclose(softmax(scores + 13.0), softmax(scores), rtol=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_jacobian_equals_autograd_and_finite_differences(scores, scale):
    row = scores[0, 0]
    jacobian = softmax_jacobian(softmax(row, scale), scale)
    by_torch = torch.func.jacrev(lambda s: torch.softmax(scale * s, -1))(torch.tensor(row)).numpy()
    np.testing.assert_allclose(jacobian, by_torch, atol=1e-12)
    h, steps = 1e-5, np.eye(len(row))
    by_differences = np.stack([(softmax(row + h * e, scale) - softmax(row - h * e, scale)) / (2 * h) for e in steps], 1)
    np.testing.assert_allclose(jacobian, by_differences, atol=1e-8)


@pytest.mark.parametrize("scale", SCALES)
def test_jacobian_is_symmetric_positive_semidefinite_with_rows_of_sum_zero(scores, scale):
    jacobian = softmax_jacobian(softmax(scores, scale), scale)
    assert jacobian.shape == (*SHAPE, SHAPE[-1])
    np.testing.assert_allclose(jacobian, jacobian.swapaxes(-1, -2), atol=1e-15)
    np.testing.assert_allclose(jacobian.sum(-1), 0, atol=1e-15)
    assert np.linalg.eigvalsh(jacobian).min() > -1e-14


@pytest.mark.parametrize("scale", SCALES)
def test_backward_is_the_jacobian_times_the_gradient(scores, scale):
    probs, d_probs = softmax(scores, scale), np.random.default_rng(1).normal(size=SHAPE)
    d_scores = softmax_backward(d_probs, probs, scale)
    np.testing.assert_allclose(d_scores, (softmax_jacobian(probs, scale) @ d_probs[..., None])[..., 0], atol=1e-14)
    s = torch.tensor(scores, requires_grad=True)
    (torch.softmax(scale * s, -1) * torch.tensor(d_probs)).sum().backward()
    np.testing.assert_allclose(d_scores, s.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_nuclear_norm_is_the_sum_of_singular_values(scores, scale):
    probs = softmax(scores, scale)
    want = np.linalg.svd(softmax_jacobian(probs, scale), compute_uv=False).sum(-1)
    np.testing.assert_allclose(softmax_jacobian_nuclear_norm(probs, scale), want, atol=1e-12)


@pytest.mark.parametrize("probs, norm", [
    (np.eye(7)[3], 0.0), (np.full(7, 1 / 7), 6 / 7), ([0.5, 0.5, 0, 0, 0, 0, 0], 0.5),
])
def test_nuclear_norm_by_hand(probs, norm):
    np.testing.assert_allclose(softmax_jacobian_nuclear_norm(probs, scale=2.0), 2 * norm, atol=1e-15)


@pytest.mark.parametrize("call, message", [
    (lambda: softmax_jacobian(np.array([1.0, 2.0])), "output of softmax"),
    (lambda: softmax_jacobian_nuclear_norm([-0.5, 1.5]), "non-negative"),
    (lambda: softmax([1.0, 2.0], scale=0.0), "scale=0.0"),
    (lambda: softmax_backward(np.ones(3), np.full(4, 0.25)), r"d_probs has shape \(3,\).*\(4,\)"),
])
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_in_half_precision_are_weights(dtype):
    probs = torch.randn(7, 197, dtype=torch.float64).mul(3).softmax(-1)
    found = softmax_jacobian_nuclear_norm(probs.to(dtype))
    np.testing.assert_allclose(found, softmax_jacobian_nuclear_norm(probs), atol=0.01)
    with pytest.raises(ValueError, match="not its scores"):
        softmax_jacobian_nuclear_norm(1.1 * probs.numpy())


def test_a_scale_may_be_a_tensor():
    np.testing.assert_array_equal(softmax([1.0, 2.0], torch.tensor(0.5)), softmax([1.0, 2.0], 0.5))

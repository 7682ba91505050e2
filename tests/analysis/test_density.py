from math import log

import numpy as np
import pytest
import torch

from minivit.analysis import attention_entropy, entropy_statistics, softmax_jacobian_norm
from minivit.scratch import softmax_jacobian_nuclear_norm

N = 7


@pytest.mark.parametrize("row, entropy", [
    (torch.eye(N)[3], 0.0),
    (torch.full((N,), 1 / N), log(N)),
    (torch.tensor([0.5, 0.5] + [0.0] * 5), log(2)),
    (torch.tensor([0.5, 0.25, 0.25] + [0.0] * 4), 1.5 * log(2)),
])
def test_entropy_by_hand(row, entropy):
    torch.testing.assert_close(attention_entropy(row), torch.tensor(entropy), atol=1e-6, rtol=0)


def test_entropy_keeps_the_axes_of_the_maps_and_its_bounds():
    maps = torch.randn(2, 3, 5, N).softmax(-1)
    entropy = attention_entropy(maps)
    assert entropy.shape == (2, 3, 5)
    assert (entropy > 0).all() and (entropy < log(N)).all()


def test_entropy_has_a_finite_gradient():
    scores = torch.randn(5, N, requires_grad=True)
    attention_entropy(scores.softmax(-1)).sum().backward()
    assert scores.grad.isfinite().all()


def test_statistics_are_those_of_all_heads_and_tokens_of_an_image():
    maps = torch.randn(2, 3, N, N, dtype=torch.float64).mul(3).softmax(-1)
    got = entropy_statistics(maps)
    for image, entropy in enumerate(attention_entropy(maps)):
        assert np.isclose(got.mean[image], entropy.mean())
        np.testing.assert_allclose([got.p15[image], got.p85[image]], np.quantile(entropy.numpy(), [0.15, 0.85]))
        assert np.isclose(got.class_token[image], entropy[:, 0].mean())


def test_statistics_of_uniform_attention_are_all_the_bound():
    for value in entropy_statistics(torch.full((2, 3, N, N), 1 / N)):
        torch.testing.assert_close(value, torch.full((2,), log(N)))


def test_jacobian_norm_equals_numpy():
    probs = torch.randn(2, 3, N, dtype=torch.float64).softmax(-1)
    want = torch.from_numpy(softmax_jacobian_nuclear_norm(probs.numpy(), 0.3))
    torch.testing.assert_close(softmax_jacobian_norm(probs, 0.3), want)


def test_jacobian_norm_needs_a_positive_scale():
    with pytest.raises(ValueError, match="scale=-1"):
        softmax_jacobian_norm(torch.full((N,), 1 / N), scale=-1)

import numpy as np
import pytest
import torch.nn.functional as F

from minivit.scratch import gelu, gelu_backward


def test_gelu_is_the_exact_one_of_torch(check_operation, draw):
    check_operation(gelu, gelu_backward, F.gelu, 3 * draw(2, 5, 7))


def test_far_from_zero_it_is_the_identity_or_nothing():
    np.testing.assert_array_equal(gelu(np.array([40.0, 0.0, -40.0])), [40.0, 0.0, 0.0])


def test_wrong_gradient_is_named(draw):
    with pytest.raises(ValueError, match=r"d_out has shape \(5,\); expected \(7,\)"):
        gelu_backward(draw(5), draw(7))

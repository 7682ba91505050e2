"""How an operation is judged: against torch autograd, and against central differences."""

import numpy as np
import pytest
import torch

from minivit.scratch import check_gradients


def relative_error(got, want):
    """Return the largest difference of two arrays, relative to the largest entry of the second."""
    assert got.shape == want.shape
    return np.abs(got - want).max() / max(np.abs(want).max(), 1e-300)


@pytest.fixture
def draw():
    """Return a function that draws an array of normal numbers; each call draws others."""
    rng = np.random.default_rng(0)
    return lambda *shape: rng.normal(size=shape)


@pytest.fixture
def check_operation(draw):
    """Return a function that compares an operation with its twin in torch, values and gradients, to 1e-9 relative.

    The operation must also take tensors, and return the same arrays.

    ``inputs`` are arrays, or one dictionary of parameters among them; forward and backward take them by position.
    """
    def check(forward, backward, in_torch, *inputs, tolerance=1e-9):
        before = [value.copy() for value in inputs]
        tensors = [{k: torch.tensor(v, requires_grad=True) for k, v in value.items()} if isinstance(value, dict)
                   else torch.tensor(value, requires_grad=True) for value in inputs]
        out, want = forward(*inputs), in_torch(*tensors)
        out = out[0] if isinstance(out, tuple) else out
        assert out.dtype == np.float64
        assert relative_error(np.asarray(out), want.detach().numpy()) < tolerance
        of_tensors = forward(*tensors)
        of_tensors = of_tensors[0] if isinstance(of_tensors, tuple) else of_tensors
        assert isinstance(of_tensors, np.ndarray | float) and np.array_equal(of_tensors, out)

        d_out = draw(*out.shape)
        gradients = backward(d_out, *inputs)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        of_tensors = backward(torch.tensor(d_out), *tensors)
        for one, other in zip(of_tensors if isinstance(of_tensors, tuple) else (of_tensors,), gradients, strict=True):
            for key in one if isinstance(one, dict) else [...]:
                assert isinstance(one[key], np.ndarray | np.floating) and np.array_equal(one[key], other[key])
        want.backward(torch.tensor(d_out))
        for gradient, tensor in zip(gradients, tensors, strict=True):
            pairs = [(gradient[k], tensor[k]) for k in tensor] if isinstance(tensor, dict) else [(gradient, tensor)]
            for got, leaf in pairs:
                assert relative_error(got, leaf.grad.numpy()) < tolerance
        for value, kept in zip(inputs, before, strict=True):
            assert isinstance(value, dict) or (value == kept).all(), "an operation changed what it was given"

        check_gradients(forward, backward, tolerance=1e-6, entries=40,
                        **{f"input{i}": value for i, value in enumerate(inputs)})
    return check

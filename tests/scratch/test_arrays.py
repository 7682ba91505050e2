import numpy as np
import pytest
import torch

from minivit.scratch import attention, layer_norm
from minivit.scratch.arrays import as_float, check_shape


@pytest.mark.parametrize("given, want", [([1, 2], np.float64), (np.ones(2, np.uint8), np.float64),
                                         (np.ones(2, np.float32), np.float32)])
def test_as_float(given, want):
    assert as_float(given).dtype == want


@pytest.mark.parametrize("dtype, want", [(torch.bfloat16, np.float32), (torch.float16, np.float32),
                                         (torch.float32, np.float32), (torch.float64, np.float64),
                                         (torch.int64, np.float64), (torch.bool, np.float64)])
def test_tensors_of_torch_are_arrays(dtype, want):
    tensor = torch.tensor([[1.0, 0.0, 3.0]]).to(dtype)
    tensor.requires_grad_(dtype.is_floating_point)
    array = check_shape("x", tensor, "B", 3)
    assert array.dtype == want
    np.testing.assert_array_equal(array, tensor.detach().double().numpy())


def test_halves_do_not_overflow_on_the_way():
    q = np.full((1, 3, 64), 300, np.float16)  # q k is 5.8 million
    out, maps = attention(q, q, q)
    np.testing.assert_allclose(out, 300)
    np.testing.assert_allclose(maps, 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(layer_norm(q * np.float16(2), np.ones(64), np.zeros(64)), 0)


@pytest.mark.parametrize("given", [np.ones(2, complex), ["a", "b"], np.array(["2020-01-01"], "M8[D]"), [None, None]])
def test_what_are_no_real_numbers_is_named(given):
    with pytest.raises(ValueError, match="^x: "):
        check_shape("x", given, "C")


@pytest.mark.parametrize("shape, wanted", [((2, 3), ("B", 3)), ((2, 3), (..., 3)), ((3,), (..., 3)), ((), ()),
                                           ((2, 5, 3), (..., "N", 3))])
def test_shapes_that_fit(shape, wanted):
    assert check_shape("x", np.zeros(shape), *wanted).shape == shape


@pytest.mark.parametrize("shape, wanted, text", [
    ((2, 3), ("B", 5), r"x has shape \(2, 3\); expected \(B, 5\)"),
    ((2, 3), ("B", "N", 3), r"\(2, 3\); expected \(B, N, 3\)"),
    ((2, 3, 5), ("N", 5), r"\(2, 3, 5\); expected \(N, 5\)"),
    ((7,), (5,), r"\(7,\); expected \(5,\)"),
    ((), (..., "C"), r"\(\); expected \(..., C\)"),
])
def test_shapes_that_do_not(shape, wanted, text):
    with pytest.raises(ValueError, match=text):
        check_shape("x", np.zeros(shape), *wanted)


def test_a_batch_may_be_empty_and_nothing_else():
    assert check_shape("x", np.zeros((0, 3)), "B", "C").shape == (0, 3)
    assert check_shape("x", np.zeros((0, 3)), ..., "C").shape == (0, 3)
    with pytest.raises(ValueError, match=r"x has shape \(0, 0, 3\); expected \(B, N, C\) with N at least 1"):
        check_shape("x", np.zeros((0, 0, 3)), "B", "N", "C")
    with pytest.raises(ValueError, match=r"q has shape \(1, 2, 0\); expected \(..., N, D\) with D at least 1"):
        attention(*[np.zeros((1, 2, 0))] * 3)

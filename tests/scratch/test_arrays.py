import numpy as np
import pytest

from minivit.scratch.arrays import as_float, check_shape


@pytest.mark.parametrize("given, want", [([1, 2], np.float64), (np.ones(2, np.uint8), np.float64),
                                         (np.ones(2, np.float32), np.float32)])
def test_as_float(given, want):
    assert as_float(given).dtype == want


@pytest.mark.parametrize("shape, wanted", [((2, 3), ("B", 3)), ((2, 3), (..., 3)), ((3,), (..., 3)), ((), ()),
                                           ((2, 5, 3), (..., "N", 3))])
def test_shapes_that_fit(shape, wanted):
    assert check_shape("x", np.zeros(shape), *wanted).shape == shape


@pytest.mark.parametrize("shape, wanted, text", [
    ((2, 3), ("B", 5), r"x has shape \(2, 3\); wanted \(B, 5\)"),
    ((2, 3), ("B", "N", 3), r"\(2, 3\); wanted \(B, N, 3\)"),
    ((2, 3, 5), ("N", 5), r"\(2, 3, 5\); wanted \(N, 5\)"),
    ((7,), (5,), r"\(7,\); wanted \(5,\)"),
    ((), (..., "C"), r"\(\); wanted \(..., C\)"),
])
def test_shapes_that_do_not(shape, wanted, text):
    with pytest.raises(ValueError, match=text):
        check_shape("x", np.zeros(shape), *wanted)

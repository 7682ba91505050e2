"""Convert and check the arguments of every operation: real numbers of the right shape."""

from types import EllipsisType
from typing import Any

import numpy as np

from minivit.checks import as_array


def as_float(x: Any) -> np.ndarray:
    """Convert to an array of real numbers: float32 stays, float16 becomes float32, and the rest becomes float64.

    Raises
    ------
    ValueError
        If these are not real numbers.
    """
    x = as_array(x)
    if x.dtype.kind in "cSUMmO":
        raise ValueError(f"an array of dtype {x.dtype} does not hold real numbers")
    if not np.issubdtype(x.dtype, np.floating):
        return x.astype(np.float64)
    return x if x.itemsize >= 4 else x.astype(np.float32)  # squares and sums would overflow in half precision


def check_shape(name: str, array: np.ndarray, *wanted: int | str | EllipsisType) -> np.ndarray:
    """Return an argument as an array of real numbers, after checking its shape.

    Parameters
    ----------
    name
        Name of the caller's argument, for the error.
    array
        The argument.
    *wanted
        Its axes: a number for a fixed size, or a letter for any size of at least 1 (``B``, a batch, may be 0 too).
        A leading ``...`` stands for any number of axes.

    Raises
    ------
    ValueError
        Naming the argument, its shape and the expected shape.

    Examples
    --------
    >>> check_shape("x", np.ones((2, 5, 7)), "B", "N", 11)
    Traceback (most recent call last):
    ValueError: x has shape (2, 5, 7); expected (B, N, 11)
    """
    try:
        array = as_float(array)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None
    sizes = [size for size in wanted if size is not ...]
    front = array.ndim - len(sizes)
    fits = front == 0 or (front > 0 and ... in wanted)
    found = list(zip(sizes, array.shape[front:], strict=True)) if fits else []
    empty = [size for size, given in found if isinstance(size, str) and size != "B" and not given]
    if not fits or empty or any(isinstance(size, int) and size != given for size, given in found):
        text = ", ".join("..." if size is ... else str(size) for size in wanted)
        text += "," if len(wanted) == 1 else ""
        raise ValueError(f"{name} has shape {array.shape}; expected ({text})"
                         + (f" with {', '.join(empty)} at least 1" if empty else ""))
    return array

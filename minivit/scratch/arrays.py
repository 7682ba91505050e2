"""What every operation does to its arguments first: real numbers, of the right shape."""

from types import EllipsisType

import numpy as np


def as_float(x: np.ndarray) -> np.ndarray:
    """Return an array of real numbers: float64, unless it is of a shorter floating type already."""
    x = np.asarray(x)
    return x if np.issubdtype(x.dtype, np.floating) else x.astype(np.float64)


def check_shape(name: str, array: np.ndarray, *wanted: int | str | EllipsisType) -> np.ndarray:
    """Return the array as real numbers, or say which argument has which shape and which it should have.

    Parameters
    ----------
    name
        The argument, as the caller knows it.
    array
        What was given.
    *wanted
        Its axes: a number where the size is fixed, a letter where any size will do; ``...`` in front stands for any
        number of axes.

    Raises
    ------
    ValueError
        With the name, the shape given and the shape wanted.

    Examples
    --------
    >>> check_shape("x", np.ones((2, 5, 7)), "B", "N", 11)
    Traceback (most recent call last):
    ValueError: x has shape (2, 5, 7); wanted (B, N, 11)
    """
    array = as_float(array)
    sizes = [size for size in wanted if size is not ...]
    front = array.ndim - len(sizes)
    fits = front == 0 or (front > 0 and ... in wanted)
    if not fits or any(isinstance(size, int) and size != given
                       for size, given in zip(sizes, array.shape[front:], strict=True)):
        text = ", ".join("..." if size is ... else str(size) for size in wanted)
        text += "," if len(wanted) == 1 else ""
        raise ValueError(f"{name} has shape {array.shape}; wanted ({text})")
    return array

"""What every operation does to its arguments first: real numbers, of the right shape."""

from types import EllipsisType
from typing import Any

import numpy as np


def as_array(x: Any) -> np.ndarray:
    """Return an array of what NumPy takes, or of a tensor of PyTorch: with a gradient, on a device, or in bfloat16."""
    if hasattr(x, "detach"):  # PyTorch itself is not needed here
        x = x.detach().cpu()
        x = x.float() if str(x.dtype) == "torch.bfloat16" else x  # NumPy has no such type; float32 holds its numbers
    return np.asarray(x)


def as_float(x: Any) -> np.ndarray:
    """Return an array of real numbers: float64, unless they are float32, or half of that, which becomes float32.

    Raises
    ------
    ValueError
        If they are no real numbers.
    """
    x = as_array(x)
    if x.dtype.kind in "cSUMmO":
        raise ValueError(f"an array of dtype {x.dtype} holds no real numbers")
    if not np.issubdtype(x.dtype, np.floating):
        return x.astype(np.float64)
    return x if x.itemsize >= 4 else x.astype(np.float32)  # squares and sums of halves overflow


def check_shape(name: str, array: np.ndarray, *wanted: int | str | EllipsisType) -> np.ndarray:
    """Return the array as real numbers, or say which argument has which shape and which it should have.

    Parameters
    ----------
    name
        The argument, as the caller knows it.
    array
        What was given.
    *wanted
        Its axes: a number where the size is fixed, a letter where any size from 1 on will do, and of a batch, ``B``, 0
        as well; ``...`` in front stands for any number of axes.

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
        raise ValueError(f"{name} has shape {array.shape}; wanted ({text})"
                         + (f" with {', '.join(empty)} at least 1" if empty else ""))
    return array

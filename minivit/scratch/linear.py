"""The linear layer: the same matrix for every token.

Axes: I input channels, O output channels; any axes (batch, tokens) may come before the channels.
"""

import numpy as np

from minivit.scratch.arrays import check_shape


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    r"""Multiply every row by a matrix and add a vector.

    .. math:: y = x W^\top + b

    Parameters
    ----------
    x
        Shape (..., I).
    weight
        W, shape (O, I): one row per output channel, as in PyTorch.
    bias
        b, shape (O,), or None.

    Returns
    -------
    array of shape (..., O)

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    weight = check_shape("weight", weight, "O", "I")
    out = check_shape("x", x, ..., weight.shape[1]) @ weight.T
    return out if bias is None else out + check_shape("bias", bias, weight.shape[0])


def linear_backward(d_out: np.ndarray, x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Backpropagate through a linear layer.

    .. math:: d_x = d_y W, \qquad d_W = d_y^\top x, \qquad d_b = \textstyle\sum d_y

    where the last two sum over all rows.

    Parameters
    ----------
    d_out
        Gradient of the output, shape (..., O).
    x, weight
        The inputs of :func:`linear`, shapes (..., I) and (O, I).

    Returns
    -------
    d_x, d_weight, d_bias
        Shapes (..., I), (O, I) and (O,).

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    weight = check_shape("weight", weight, "O", "I")
    x = check_shape("x", x, ..., weight.shape[1])
    d_out = check_shape("d_out", d_out, *x.shape[:-1], weight.shape[0])
    d_rows, rows = d_out.reshape(-1, d_out.shape[-1]), x.reshape(-1, x.shape[-1])
    return d_out @ weight, d_rows.T @ rows, d_rows.sum(axis=0)

"""The linear layer: one matrix for every token.

Axes: I channels in, O channels out; any axes (batch, tokens) may stand before the channels.
"""

import numpy as np

from minivit.scratch.arrays import check_shape


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    r"""Multiply every row by one matrix, and add one vector.

    .. math:: y = x W^\top + b

    Parameters
    ----------
    x
        Shape (..., I).
    weight
        W, shape (O, I): a row for each channel that comes out, as PyTorch keeps it.
    bias
        b, shape (O,), or None.

    Returns
    -------
    array of shape (..., O)

    Raises
    ------
    ValueError
        If shapes do not fit, by the name of the argument.
    """
    weight = check_shape("weight", weight, "O", "I")
    out = check_shape("x", x, ..., weight.shape[1]) @ weight.T
    return out if bias is None else out + check_shape("bias", bias, weight.shape[0])


def linear_backward(d_out: np.ndarray, x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Carry a gradient back through a linear layer.

    .. math:: d_x = d_y W, \qquad d_W = d_y^\top x, \qquad d_b = \textstyle\sum d_y

    with the sums of the last two over all rows.

    Parameters
    ----------
    d_out
        Gradient of the output, shape (..., O).
    x, weight
        What the layer took, shapes (..., I) and (O, I).

    Returns
    -------
    d_x, d_weight, d_bias
        Of shapes (..., I), (O, I) and (O,).

    Raises
    ------
    ValueError
        If shapes do not fit, by the name of the argument.
    """
    weight = check_shape("weight", weight, "O", "I")
    x = check_shape("x", x, ..., weight.shape[1])
    d_out = check_shape("d_out", d_out, *x.shape[:-1], weight.shape[0])
    d_rows, rows = d_out.reshape(-1, d_out.shape[-1]), x.reshape(-1, x.shape[-1])
    return d_out @ weight, d_rows.T @ rows, d_rows.sum(axis=0)

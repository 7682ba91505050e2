"""Uniform attention, and the two ways to add it by hand (Hyeon-Woo et al., 2023, section 3.2).

Axes: B batch, N tokens, C channels.
"""

import numpy as np

from minivit.scratch.arrays import check_shape


def uniform_attention(x: np.ndarray) -> np.ndarray:
    r"""Replace every token by the mean token: the densest possible attention, with all weights 1/N.

    .. math:: y_i = \frac{1}{N} \sum_j x_j \qquad\text{or}\qquad Y = \tfrac{1}{N} \mathbf{1}\mathbf{1}^\top X

    Parameters
    ----------
    x
        Tokens, shape (B, N, C).

    Returns
    -------
    array of shape (B, N, C)
        N equal tokens per image.
    """
    x = check_shape("x", x, "B", "N", "C")
    return np.broadcast_to(x.mean(axis=1, keepdims=True), x.shape)


def uniform_attention_backward(d_out: np.ndarray) -> np.ndarray:
    """Average the gradient over tokens, (B, N, C): the matrix of :func:`uniform_attention` is symmetric."""
    return uniform_attention(check_shape("d_out", d_out, "B", "N", "C"))


def context_broadcast(x: np.ndarray) -> np.ndarray:
    r"""Give every token half of the mean token (CB, the paper's equation 1).

    .. math:: \operatorname{CB}(x_i) = \frac{1}{2} \Big(x_i + \frac{1}{N} \sum_j x_j\Big)

    Parameters
    ----------
    x
        Tokens, shape (B, N, C).

    Returns
    -------
    array of shape (B, N, C)
        The mean token is unchanged; deviations from it are halved.
    """
    return 0.5 * (check_shape("x", x, "B", "N", "C") + uniform_attention(x))


def context_broadcast_backward(d_out: np.ndarray) -> np.ndarray:
    """Apply CB to the gradient, (B, N, C): the matrix of CB is symmetric."""
    return context_broadcast(check_shape("d_out", d_out, "B", "N", "C"))


def scaled_context_broadcast(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
    r"""Add the mean token, each channel scaled by a learned factor (CB_S).

    .. math:: \operatorname{CB}_S(x_i) = x_i + \Lambda \odot \frac{1}{N} \sum_j x_j

    Parameters
    ----------
    x
        Tokens, shape (B, N, C).
    scale
        Λ, shape (C,).

    Returns
    -------
    array of shape (B, N, C)

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    x = check_shape("x", x, "B", "N", "C")
    return x + check_shape("scale", scale, x.shape[-1]) * uniform_attention(x)


def scaled_context_broadcast_backward(d_out: np.ndarray, x: np.ndarray, scale: np.ndarray
                                      ) -> tuple[np.ndarray, np.ndarray]:
    r"""Backpropagate through CB_S.

    .. math:: d_x = d_y + \Lambda \odot \frac{1}{N} \sum_j d_{y,j}, \qquad
       d_\Lambda = \sum d_y \odot \frac{1}{N} \sum_j x_j

    Parameters
    ----------
    d_out
        Gradient of the output, shape (B, N, C).
    x, scale
        The inputs of :func:`scaled_context_broadcast`.

    Returns
    -------
    d_x, d_scale
        Shapes (B, N, C) and (C,).

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    x = check_shape("x", x, "B", "N", "C")
    d_out = check_shape("d_out", d_out, *x.shape)
    d_scale = (d_out * uniform_attention(x)).sum(axis=(0, 1))
    return scaled_context_broadcast(d_out, scale), d_scale

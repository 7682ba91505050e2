"""The exact Gaussian error linear unit (Hendrycks and Gimpel, 2016)."""

import math

import numpy as np
from scipy.special import ndtr  # the normal distribution function to full precision, which NumPy lacks

from minivit.scratch.arrays import as_float, check_shape


def gelu(x: np.ndarray) -> np.ndarray:
    r"""Multiply each number by the probability that a standard normal variable is smaller.

    .. math:: \operatorname{GELU}(x) = x\,\Phi(x)

    Parameters
    ----------
    x
        Any shape.

    Returns
    -------
    array of the same shape
        Close to x for large x, close to 0 for very negative x; at least -0.17.
    """
    x = as_float(x)
    return x * ndtr(x)


def gelu_backward(d_out: np.ndarray, x: np.ndarray) -> np.ndarray:
    r"""Backpropagate through GELU.

    .. math:: d_x = d_y \odot \big(\Phi(x) + x\,\varphi(x)\big), \qquad \varphi(x) = e^{-x^2/2} / \sqrt{2\pi}

    Parameters
    ----------
    d_out
        Gradient of the output, of the same shape as x.
    x
        The input of :func:`gelu`.

    Returns
    -------
    array of the same shape

    Raises
    ------
    ValueError
        If the two shapes differ.
    """
    x = as_float(x)
    d_out = check_shape("d_out", d_out, *x.shape)
    density = np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
    return d_out * (ndtr(x) + x * density)

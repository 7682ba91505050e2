"""Layer normalisation: every token on the same scale (Ba et al., 2016).

Axes: C channels, last; any axes (batch, tokens) may come before.
"""

import numpy as np

from minivit.options import check_positive
from minivit.scratch.arrays import check_shape


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    r"""Subtract the mean of a token's channels, divide by their standard deviation, then scale and shift each channel.

    .. math:: \hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \qquad y = \gamma \odot \hat x + \beta

    with the mean μ and the variance σ² (divided by C) over the channels of one token.

    Parameters
    ----------
    x
        Shape (..., C).
    weight, bias
        γ and β, shape (C,).
    eps
        ε, larger than 0: avoids dividing by 0 for a constant token.

    Returns
    -------
    array of shape (..., C)

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    normal, weight, _ = _normalize(x, weight, eps)
    return normal * weight + check_shape("bias", bias, normal.shape[-1])


def layer_norm_backward(d_out: np.ndarray, x: np.ndarray, weight: np.ndarray, eps: float = 1e-6
                        ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Backpropagate through layer normalisation.

    With :math:`d_{\hat x} = \gamma \odot d_y`, and means over the channels of one token,

    .. math:: d_x = \frac{1}{\sqrt{\sigma^2 + \varepsilon}}
       \big(d_{\hat x} - \operatorname{mean}(d_{\hat x}) - \hat x \operatorname{mean}(d_{\hat x} \odot \hat x)\big)

    Parameters
    ----------
    d_out
        Gradient of the output, shape (..., C).
    x, weight, eps
        The inputs of :func:`layer_norm`.

    Returns
    -------
    d_x, d_weight, d_bias
        Shapes (..., C), (C,) and (C,).

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    normal, weight, deviation = _normalize(x, weight, eps)
    d_out = check_shape("d_out", d_out, *normal.shape)
    d_normal = d_out * weight
    along = (d_normal * normal).mean(axis=-1, keepdims=True)
    d_x = (d_normal - d_normal.mean(axis=-1, keepdims=True) - normal * along) / deviation
    rows = tuple(range(normal.ndim - 1))
    return d_x, (d_out * normal).sum(axis=rows), d_out.sum(axis=rows)


def _normalize(x: np.ndarray, weight: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the normalised tokens, the weight as an array, and the deviation (..., 1) that tokens were divided by."""
    weight = check_shape("weight", weight, "C")
    x = check_shape("x", x, ..., len(weight))
    check_positive(eps=eps)
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return centred / deviation, weight, deviation

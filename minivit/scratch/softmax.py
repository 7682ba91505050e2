"""Softmax, its Jacobian, and what the Jacobian does to a gradient.

Axes: the last is N, the entries that one softmax runs over; any number of axes may come before it.
"""

import numpy as np

from minivit.options import ROUNDED_SUM, check_positive
from minivit.scratch.arrays import as_float, check_shape


def softmax(scores: np.ndarray, scale: float = 1.0) -> np.ndarray:
    r"""Turn scores into positive weights that sum to 1: the larger the score, the larger the weight.

    .. math:: a_j = \frac{e^{\lambda s_j}}{\sum_k e^{\lambda s_k}}

    Parameters
    ----------
    scores
        s, shape (..., N).
    scale
        λ, larger than 0; attention uses :math:`1/\sqrt{D}`.

    Returns
    -------
    array of shape (..., N)
        a, in [0, 1], summing to 1 along the last axis.

    Raises
    ------
    ValueError
        If there is no score, or the scale is not positive.
    """
    scale, scores = check_scale(scale), check_shape("scores", scores, ..., "N")
    scaled = scale * scores
    # Subtract the largest score first: this doesn't change the softmax, and no exponential overflows.
    weights = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def softmax_jacobian(probs: np.ndarray, scale: float = 1.0) -> np.ndarray:
    r"""Return how each output of a softmax changes with each score.

    .. math:: J_{jk} = \frac{\partial a_j}{\partial s_k} = \lambda\,(\mathbb{1}_{j=k}\, a_j - a_j a_k)
       \qquad\text{or}\qquad J = \lambda\,(\operatorname{diag} a - a a^\top)

    It is symmetric and positive semi-definite, and its rows sum to 0 (Hyeon-Woo et al., 2023, section 3.1).

    Parameters
    ----------
    probs
        a, the *output* of the softmax, shape (..., N).
    scale
        λ, larger than 0.

    Returns
    -------
    array of shape (..., N, N)

    Raises
    ------
    ValueError
        If ``probs`` are not probabilities, or ``scale`` is not positive.
    """
    probs, scale = check_probs(probs), check_scale(scale)
    diagonal = probs[..., None] * np.eye(probs.shape[-1])
    outer = probs[..., :, None] * probs[..., None, :]
    return scale * (diagonal - outer)


def softmax_backward(d_probs: np.ndarray, probs: np.ndarray, scale: float = 1.0) -> np.ndarray:
    r"""Backpropagate through a softmax without forming the Jacobian.

    .. math:: d_s = J\, d_a = \lambda\, a \odot (d_a - \langle a, d_a\rangle)

    Parameters
    ----------
    d_probs
        Gradient of the loss with respect to the output, shape (..., N).
    probs
        a, the output of the softmax, shape (..., N).
    scale
        λ, larger than 0.

    Returns
    -------
    array of shape (..., N)
        Gradient of the loss with respect to the scores; it sums to 0 along the last axis.

    Raises
    ------
    ValueError
        If the two shapes differ, ``probs`` are not probabilities, or ``scale`` is not positive.
    """
    probs = check_probs(probs)
    d_probs, scale = check_shape("d_probs", d_probs, *probs.shape), check_scale(scale)
    along = (probs * d_probs).sum(axis=-1, keepdims=True)
    return scale * probs * (d_probs - along)


def softmax_jacobian_nuclear_norm(probs: np.ndarray, scale: float = 1.0) -> np.ndarray:
    r"""Measure how far a small step in the scores can move the output: the sum of the Jacobian's singular values.

    J is positive semi-definite, so the sum is its trace:

    .. math:: \lVert J \rVert_* = \lambda \Big(1 - \sum_j a_j^2\Big)

    Parameters
    ----------
    probs
        a, shape (..., N).
    scale
        λ, larger than 0.

    Returns
    -------
    array of shape (...)
        In [0, λ (1 - 1/N)]: 0 for a one-hot row, largest for a uniform one.
    """
    return check_scale(scale) * (1 - (check_probs(probs) ** 2).sum(axis=-1))


def check_probs(probs: np.ndarray) -> np.ndarray:
    probs = as_float(probs)
    if probs.ndim == 0 or np.any(probs < 0) or not np.allclose(probs.sum(axis=-1), 1, atol=ROUNDED_SUM):
        raise ValueError("probs must be non-negative and sum to 1 along the last axis; "
                         "pass the output of softmax, not its scores")
    return probs


def check_scale(scale: float) -> float:
    check_positive(scale=scale)
    return float(scale)  # it may be a tensor

"""Less attention by hand: transform the scores of the layer below (Zhang et al., 2024).

Axes: B batch, H heads, N queries, M keys, D head size.
"""

import numpy as np

from minivit.scratch.arrays import check_shape
from minivit.scratch.softmax import softmax, softmax_backward


def less_attention(scores: np.ndarray, v: np.ndarray, theta: np.ndarray, psi: np.ndarray
                   ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    r"""Transform the scores of the layer below along keys and queries, and average the values with the result.

    .. math:: S' = \Psi S \Theta^\top, \qquad A = \operatorname{softmax}(S'), \qquad Y = A V

    Parameters
    ----------
    scores
        S, scaled, shape (..., N, M).
    v
        Values, shape (..., M, D).
    theta, psi
        :math:`\Theta`, shape (M, M), and :math:`\Psi`, shape (N, N). If both are the identity, the map below is
        repeated.

    Returns
    -------
    out
        Y, shape (..., N, D).
    saved
        What :func:`less_attention_backward` needs; ``saved["scores"]`` holds S', shape (..., N, M), for the layer
        above, and ``saved["maps"]`` holds A, shape (..., N, M), whose rows sum to 1.

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    below = check_shape("scores", scores, ..., "N", "M")
    n, m = below.shape[-2:]
    v = check_shape("v", v, *below.shape[:-2], m, "D")
    theta, psi = check_shape("theta", theta, m, m), check_shape("psi", psi, n, n)
    transformed = psi @ below @ theta.T
    maps = softmax(transformed)
    return maps @ v, {"below": below, "v": v, "theta": theta, "psi": psi, "scores": transformed, "maps": maps}


def less_attention_backward(d_out: np.ndarray, saved: dict[str, np.ndarray], d_scores: np.ndarray | None = None
                            ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    r"""Backpropagate through less attention.

    .. math:: d_V = A^\top d_Y, \qquad d_{S'} = A \odot (d_A - \langle A, d_A \rangle) + d_{\text{above}}, \qquad
              d_A = d_Y V^\top

    .. math:: d_S = \Psi^\top d_{S'}\, \Theta, \qquad d_\Psi = \sum d_{S'}\, \Theta\, S^\top, \qquad
              d_\Theta = \sum d_{S'}^\top\, \Psi\, S

    with sums over all axes but the last two.

    Parameters
    ----------
    d_out
        Gradient of the output, shape (..., N, D).
    saved
        What the forward function saved.
    d_scores
        :math:`d_{\text{above}}`, the gradient of S' from a layer above that transforms it in turn, shape (..., N, M);
        None if there is no such layer.

    Returns
    -------
    d_below, d_v, d_theta, d_psi
        Each has the shape of its input; ``d_below`` is the ``d_scores`` of the layer below.

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    below, v, theta, psi, maps = (saved[name] for name in ("below", "v", "theta", "psi", "maps"))
    d_out = check_shape("d_out", d_out, *maps.shape[:-1], v.shape[-1])
    d_v = maps.swapaxes(-1, -2) @ d_out
    d_transformed = softmax_backward(d_out @ v.swapaxes(-1, -2), maps)
    if d_scores is not None:
        d_transformed = d_transformed + check_shape("d_scores", d_scores, *maps.shape)
    front = tuple(range(below.ndim - 2))
    d_psi = (d_transformed @ theta @ below.swapaxes(-1, -2)).sum(axis=front)
    d_theta = (d_transformed.swapaxes(-1, -2) @ (psi @ below)).sum(axis=front)
    return psi.T @ d_transformed @ theta, d_v, d_theta, d_psi

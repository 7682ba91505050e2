"""How dense a row of attention is, and how sensitive its softmax.

Axes: any number of axes, then N, the tokens that one row of attention spreads over.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from minivit.analysis.maps import as_maps, as_weights
from minivit.options import check_positive


def attention_entropy(attn: Tensor) -> Tensor:
    r"""Measure how widely each token spreads its attention.

    .. math:: H(a) = -\sum_{j=1}^{N} a_j \ln a_j

    Parameters
    ----------
    attn
        Attention maps, (..., N), whose rows sum to 1; typically (B, H, N, N).

    Returns
    -------
    Tensor of shape (...)
        Nats, in [0, ln N]: 0 if all weight is on one token (sparse), ln N if it is uniform (dense). A weight of 0 adds
        0, the limit of :math:`-a \ln a`. For maps in half precision, the entropy is float32.

    Raises
    ------
    ValueError
        If the maps are not floating point, their rows are not weights, or N is 0.

    References
    ----------
    Hyeon-Woo et al., 2023, section 3.1 and figure 4.
    """
    return torch.special.entr(as_weights(attn)).sum(dim=-1)


class EntropyStatistics(NamedTuple):
    """How the entropy of one layer varies over heads and tokens; see :func:`entropy_statistics`.

    Attributes
    ----------
    mean, p15, p85
        Mean, 15th and 85th percentile over heads and tokens, (B,) each.
    class_token
        Mean over the heads for the first token, which is the class token if there is one, (B,).
    """

    mean: Tensor
    p15: Tensor
    p85: Tensor
    class_token: Tensor


def entropy_statistics(attn: Tensor) -> EntropyStatistics:
    """Summarise the entropy of one layer's attention, image by image.

    The paper plots the "15th percentile" in figure 4, but its text speaks of "the top 15 %": one is the lower end of
    the spread, the other the upper. Both are returned.

    Parameters
    ----------
    attn
        Attention maps of one layer, (B, H, N, M), of any floating-point type; rows sum to 1.

    Returns
    -------
    EntropyStatistics
        Nats, in [0, ln M].

    Raises
    ------
    ValueError
        If the maps are not floating point or not of this shape, or their rows are not weights.

    References
    ----------
    Hyeon-Woo et al., 2023, figure 4 (mean and percentile) and figure 7a (class token).
    """
    entropy = attention_entropy(as_maps(attn, ("B", "H", "N", "M")))    # (B, H, N)
    ends = torch.tensor([0.15, 0.85], device=entropy.device, dtype=entropy.dtype)
    p15, p85 = entropy.flatten(1).quantile(ends, dim=1)
    return EntropyStatistics(entropy.mean(dim=(1, 2)), p15, p85, entropy[:, :, 0].mean(dim=1))


def softmax_jacobian_norm(probs: Tensor, scale: float = 1.0) -> Tensor:
    r"""Measure how strongly a softmax responds to a small change in its scores: the nuclear norm of its Jacobian.

    .. math:: \lVert J \rVert_* = \lambda \Big(1 - \sum_j a_j^2\Big)

    Parameters
    ----------
    probs
        Rows of attention, (..., N), which sum to 1.
    scale
        λ, the factor on the scores; attention uses :math:`1/\sqrt{D}`.

    Returns
    -------
    Tensor of shape (...)
        In [0, λ (1 - 1/N)], largest for uniform attention.

    Raises
    ------
    ValueError
        If ``scale`` is not a positive number, the rows are not floating point, or they are not weights.

    References
    ----------
    Hyeon-Woo et al., 2023, section 3.1.
    """
    check_positive(scale=scale)
    return scale * (1 - as_weights(probs, name="probs").square().sum(dim=-1))

"""How much of the mean token a trained CB_S adds.

Axes: C channels.
"""

import torch
from torch import Tensor

from minivit.wrappers import at_least_float32


def scale_statistics(scale: Tensor) -> tuple[Tensor, Tensor]:
    r"""Summarise the scales of one CB_S: how large they are, and how similar.

    Returns the mean of :math:`\lambda \in \Lambda` and the ratio :math:`|\lambda_{0.1}| / |\lambda_{0.9}|` of two
    quantiles. The paper doesn't say whether these are quantiles of λ or of \|λ\|. Here they are of \|λ\|, so that the
    ratio shows how similar the channels are in strength, whatever their signs.

    Parameters
    ----------
    scale
        Λ, (C,), C at least 1, of any floating-point type.

    Returns
    -------
    mean, ratio
        Tensors of shape (). The mean is signed. The ratio is in [0, 1]: 1 if all scales have the same strength, and nan
        if both quantiles are zero, as before training.

    Raises
    ------
    ValueError
        If the scales are not as described.

    References
    ----------
    Hyeon-Woo et al., 2023, section 3.3 and figure 8.
    """
    if scale.ndim != 1 or not len(scale) or not scale.is_floating_point():
        raise ValueError(f"scale of dtype {scale.dtype} and shape {tuple(scale.shape)}: it must be floating point, of "
                         "shape (C,) with C at least 1")
    scale = at_least_float32(scale)
    low, high = scale.abs().quantile(torch.tensor([0.1, 0.9], device=scale.device, dtype=scale.dtype))
    return scale.mean(), low / high

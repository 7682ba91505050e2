"""How much of the mean token a trained CB_S asks for.

Axes: C channels.
"""

import torch
from torch import Tensor


def scale_statistics(scale: Tensor) -> tuple[Tensor, Tensor]:
    r"""Sum up the scales of one CB_S: how large they are, and how alike.

    The mean of :math:`\lambda \in \Lambda`, and the ratio :math:`|\lambda_{0.1}| / |\lambda_{0.9}|` of two quantiles.
    The paper does not say whether the quantiles are of λ or of \|λ\|. Here they are of \|λ\|, so that the ratio tells
    how alike the channels are in strength, whatever their signs.

    Parameters
    ----------
    scale
        Λ, (C,), C at least 1, of any floating type.

    Returns
    -------
    mean, ratio
        Tensors of shape (). The mean has its sign; the ratio is in [0, 1], 1 where all scales are of one strength, and
        nan where both quantiles are zero, as before training.

    Raises
    ------
    ValueError
        If the scales are not of this kind.

    References
    ----------
    Hyeon-Woo et al., 2023, section 3.3 and figure 8.
    """
    if scale.ndim != 1 or not len(scale) or not scale.is_floating_point():
        raise ValueError(f"scale of dtype {scale.dtype} and shape {tuple(scale.shape)}: it must be floating, of shape "
                         "(C,) with C at least 1")
    scale = scale.to(torch.promote_types(scale.dtype, torch.float32))  # quantiles are not made of halves
    low, high = scale.abs().quantile(torch.tensor([0.1, 0.9], device=scale.device, dtype=scale.dtype))
    return scale.mean(), low / high

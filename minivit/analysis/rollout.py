"""Attention through all layers at once.

Axes: B batch, H heads, N tokens.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def attention_rollout(maps: Sequence[Tensor]) -> Tensor:
    r"""Follow the attention of every token down through the layers, to the tokens of the image.

    .. math:: R = \tilde A_L \cdots \tilde A_2 \tilde A_1, \qquad
              \tilde A_l = \frac{1}{2}\Big(I + \frac{1}{H}\sum_{h=1}^{H} A_{l,h}\Big)

    The identity stands for the residual connection. It is a rule of thumb: values, MLPs and context modules are left
    out.

    Parameters
    ----------
    maps
        One map (B, H, N, N) per layer, first layer first, rows of sum 1; heads may differ by layer.

    Returns
    -------
    Tensor of shape (B, N, N)
        Row i holds the weights, in [0, 1] and of sum 1, with which token i of the last layer looks at the tokens that
        went into the first.

    Raises
    ------
    ValueError
        If there is no map, or the layers have not all the same tokens.

    References
    ----------
    Abnar and Zuidema, "Quantifying attention flow in transformers", ACL 2020, section 3.
    """
    tokens = {layer.shape[-1] for layer in maps}
    if len(tokens) != 1:
        raise ValueError(f"maps has {len(maps)} layers of {sorted(tokens)} tokens; "
                         "there must be at least one layer, and all must have the same tokens")
    identity = torch.eye(*tokens, device=maps[0].device, dtype=maps[0].dtype)
    rollout = identity
    for layer in maps:
        rollout = 0.5 * (layer.mean(dim=1) + identity) @ rollout
    return rollout

"""Attention through all layers at once.

Axes: B batch, H heads, N tokens.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from minivit.analysis.maps import as_weights


def attention_rollout(maps: Sequence[Tensor]) -> Tensor:
    r"""Trace the attention of every token down through all layers, to the input tokens.

    .. math:: R = \tilde A_L \cdots \tilde A_2 \tilde A_1, \qquad
              \tilde A_l = \frac{1}{2}\Big(I + \frac{1}{H}\sum_{h=1}^{H} A_{l,h}\Big)

    The identity stands for the residual connection. This is a rule of thumb, which ignores values, MLPs and context
    modules.

    Parameters
    ----------
    maps
        One map (B, H, N, N) per layer, first layer first, whose rows sum to 1; H may differ between layers.

    Returns
    -------
    Tensor of shape (B, N, N)
        Row i holds the weights that token i of the last layer gives to the input tokens; they lie in [0, 1] and sum
        to 1.

    Raises
    ------
    ValueError
        If there is no map, one is not square or not floating point, its rows are not weights, or the layers differ in
        images or tokens.

    References
    ----------
    Abnar and Zuidema, "Quantifying attention flow in transformers", ACL 2020, section 3.
    """
    maps = [as_weights(layer, ("B", "H", "N", "N"), f"maps[{i}]") for i, layer in enumerate(maps)]
    for name, axis in (("images", 0), ("tokens", -1)):
        sizes = {layer.shape[axis] for layer in maps}
        if len(sizes) != 1:
            raise ValueError(f"maps has {len(maps)} layers of {sorted(sizes)} {name}; "
                             f"there must be at least one layer, and all must have the same {name}")
    identity = torch.eye(maps[0].shape[-1], device=maps[0].device, dtype=maps[0].dtype)
    rollout = identity
    for layer in maps:
        rollout = 0.5 * (layer.mean(dim=1) + identity) @ rollout
    return rollout

"""How alike the maps of neighbouring layers are: attention saturation (Zhang et al., 2024).

Axes: L layers, B batch, H heads, N queries, M keys.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from minivit.analysis.maps import as_maps


def attention_similarity(attns: Sequence[Tensor], *, centred: bool = False, mean_head: bool = False) -> Tensor:
    r"""Compare the map of each layer with that of the next, head by head, by the cosine between them.

    .. math:: \cos(A, A') = \frac{\sum_{ij} A_{ij} A'_{ij}}
              {\sqrt{\sum_{ij} A_{ij}^2} \sqrt{\sum_{ij} A_{ij}'^2}}

    All weights are positive, so any two maps are alike to some degree, and two nearly uniform ones almost perfectly.
    With ``centred``, 1/M is subtracted from every weight first, which leaves the deviation from the uniform map.

    Parameters
    ----------
    attns
        One map (B, H, N, M) per layer, first layer first, whose rows sum to 1; at least two, all of the same shape.
    centred
        Whether to compare deviations from the uniform map. For a uniform map the result is 0.
    mean_head
        Whether to compare the means over the heads. In a layer that computes its attention, head h has nothing to do
        with head h of the layer below; the mean doesn't depend on their order.

    Returns
    -------
    Tensor of shape (L - 1, B)
        Mean over the heads, in [0, 1]; with ``centred`` in [-1, 1].

    Raises
    ------
    ValueError
        If there are fewer than two maps, or they differ in shape or are not floating point.
    """
    attns = [as_maps(layer, ("B", "H", "N", "M"), "attns") for layer in attns]
    shapes = {tuple(layer.shape) for layer in attns}
    if len(attns) < 2 or len(shapes) > 1:
        raise ValueError(f"attns has {len(attns)} maps of shapes {sorted(shapes)}; there must be at least two, all of "
                         "the same shape")
    layers = [layer - 1 / layer.shape[-1] if centred else layer for layer in attns]
    layers = [(layer.mean(dim=1, keepdim=True) if mean_head else layer).flatten(2) for layer in layers]  # (B, H, N M)
    return torch.stack([F.cosine_similarity(below, above, dim=-1).mean(dim=1) for below, above in pairwise(layers)])

"""How far attention reaches across the image.

Axes: N tokens, rows x columns of them on the grid of patches.
"""

import torch
from torch import Tensor

from minivit.analysis.maps import as_maps
from minivit.options import image_sides


def attention_distance(attn: Tensor, grid: tuple[int, int]) -> Tensor:
    r"""Measure how far apart two patches are, weighted by the attention between them.

    .. math:: \text{dist} = \mathbb{E}_{i \neq j}\big[a_{ij} \lVert p_i - p_j \rVert_1\big]

    The mean is over all ordered pairs of patches, whose coordinates :math:`p_i` are in [0, 1] along both axes. The
    weights are used as they are, and not renormalised after leaving out the class token and the token itself. So the
    distance falls as 1/N with the number of patches, and only maps on the same grid can be compared.

    Parameters
    ----------
    attn
        Attention maps, (..., N, N), whose rows sum to 1. A class token, if there is one, comes first and is left out.
    grid
        Rows and columns, at least two patches in all; N is rows x columns, or one more with a class token.

    Returns
    -------
    Tensor of shape (...)
        In [0, 2 / (rows x columns - 1)]: 0 if every token attends only to itself.

    Raises
    ------
    ValueError
        If ``grid`` doesn't fit N or has fewer than two patches, or if the maps are not floating point.

    References
    ----------
    Hyeon-Woo et al., 2023, section 3.3 and figure 7b.
    """
    attn = as_maps(attn)
    try:
        rows, columns = image_sides(tuple(grid), "grid")
    except (TypeError, ValueError):
        rows = columns = 0
    patches = rows * columns
    if patches < 2:
        raise ValueError(f"grid={grid} must be rows and columns of at least two patches")
    if attn.shape[-2:] not in ((patches, patches), (patches + 1, patches + 1)):
        raise ValueError(f"grid={grid} has {patches} patches, which does not fit attn of shape {tuple(attn.shape)}; "
                         f"its last two axes must be {patches}, or {patches + 1} with a class token")
    y, x = (torch.linspace(0, 1, size, device=attn.device, dtype=attn.dtype) for size in grid)
    places = torch.cartesian_prod(y, x)                                 # (rows x columns, 2), row by row
    distances = (places[:, None] - places).abs().sum(dim=-1)            # (N, N) of the patches, 0 where i = j
    return (attn[..., -patches:, -patches:] * distances).sum(dim=(-2, -1)) / (patches * (patches - 1))

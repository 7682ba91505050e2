"""What every measure does to attention maps first: real numbers of enough digits, of a shape that fits.

Axes: B batch, H heads, N queries, M keys.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def as_maps(attn: Tensor, axes: Sequence[str] = ("M",), name: str = "attn") -> Tensor:
    """Return attention maps as they are, or in float32 if they are of a shorter floating type.

    Sums over many tokens need more than the three digits of a half, and leave float16's range.

    Parameters
    ----------
    attn
        Maps.
    axes
        Names of the axes that must be there; with a single one, or two, any number may stand before them. Two of one
        name are of one size.
    name
        The argument, as the caller knows it.

    Raises
    ------
    ValueError
        If the maps are not floating or not of these axes, or one of these has no entry.
    """
    if not attn.is_floating_point():
        raise ValueError(f"{name} of dtype {attn.dtype}: maps must be floating, as softmax returns them")
    least, any_before = len(axes), len(axes) <= 2
    sizes = dict(zip(reversed(axes), reversed(attn.shape), strict=False))
    fits = attn.ndim >= least if any_before else attn.ndim == least
    same = all(sizes[axis] == size for axis, size in zip(reversed(axes), reversed(attn.shape), strict=False))
    if not fits or not same or 0 in sizes.values():
        raise ValueError(f"{name} of shape {tuple(attn.shape)}; wanted ({'..., ' if any_before else ''}"
                         f"{', '.join(axes)}), with at least one of each")
    return attn.to(torch.promote_types(attn.dtype, torch.float32))

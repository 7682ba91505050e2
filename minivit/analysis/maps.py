"""Validate attention maps before measuring them: floating point, of sufficient precision and the right shape.

Axes: B batch, H heads, N queries, M keys.
"""

from collections.abc import Sequence

from torch import Tensor

from minivit.wrappers import at_least_float32


def as_maps(attn: Tensor, axes: Sequence[str] = ("M",), name: str = "attn") -> Tensor:
    """Return attention maps in float32 or wider, after checking their type and shape.

    Sums over many tokens can leave float16's range.

    Parameters
    ----------
    attn
        Maps.
    axes
        Names of the last axes. One or two names allow any number of axes before them. Axes with the same name must have
        the same size.
    name
        Name of the caller's argument, for the error.

    Raises
    ------
    ValueError
        If the maps are not floating point, don't have these axes, or one of the axes is empty.
    """
    if not attn.is_floating_point():
        raise ValueError(f"{name} of dtype {attn.dtype}: maps must be floating point, as softmax returns them")
    least, any_before = len(axes), len(axes) <= 2
    sizes = dict(zip(reversed(axes), reversed(attn.shape), strict=False))
    fits = attn.ndim >= least if any_before else attn.ndim == least
    same = all(sizes[axis] == size for axis, size in zip(reversed(axes), reversed(attn.shape), strict=False))
    if not fits or not same or 0 in sizes.values():
        raise ValueError(f"{name} of shape {tuple(attn.shape)}; expected ({'..., ' if any_before else ''}"
                         f"{', '.join(axes)}), with at least one of each")
    return at_least_float32(attn)

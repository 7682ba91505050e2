"""Validate attention maps before measuring them: floating point, of sufficient precision and the right shape.

Axes: B batch, H heads, N queries, M keys.
"""

from collections.abc import Sequence

from torch import Tensor

from minivit.options import ROUNDED_SUM
from minivit.wrappers import at_least_float32, check_tensor


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
        If the maps are no tensor, are not floating point, don't have these axes, or one of the axes is empty.
    """
    check_tensor(**{name: attn})
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


def as_weights(attn: Tensor, axes: Sequence[str] = ("M",), name: str = "attn") -> Tensor:
    """Do the same as :func:`as_maps`, and check that the rows are weights: not negative, with a sum of 1.

    Raises
    ------
    ValueError
        Also if they are not, as scores before softmax or rows with a nan.
    """
    attn = as_maps(attn, axes, name)
    sums = attn.detach().sum(dim=-1)
    if sums.isnan().any():
        raise ValueError(f"{name} has rows with a nan, which is no weight; in half precision, scores may overflow")
    if not (attn >= 0).all() or not ((sums - 1).abs() < ROUNDED_SUM).all():
        raise ValueError(f"{name}: rows must be non-negative and sum to 1, but these sum to {sums.min():g} ... "
                         f"{sums.max():g}, with a smallest entry of {attn.min():g}; pass the output of softmax, not "
                         "its scores")
    return attn

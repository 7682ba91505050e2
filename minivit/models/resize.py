"""Weights for images of another size: what is bound to a place is interpolated over the grid of places.

Axes: S side of a grid of tokens, N = S * S tokens, or S * S + 1 with a class token, C channels.
"""

from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minivit.layers import TokenMap
from minivit.models.unwrap import name_differences, unwrap_weights


def interpolate_weights(weights: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    r"""Return weights for ``model`` from those of a model that differs from it in the size of its images alone.

    Two things are bound to places. Position embeddings are interpolated (bilinear). The maps over tokens of a
    less-attention layer are, too: if R interpolates tokens from the old grid to the new, a map W becomes

    .. math:: W' = I + R\,(W - I)\,R^+

    with the pseudo-inverse :math:`R^+`. Where the new grid is the finer one, :math:`R^+ R = I`, so it makes no
    difference whether something is first transformed or first interpolated: :math:`W' R = R W`. The identity stays the
    identity. The class token is no place: it is carried over as it is.

    Parameters
    ----------
    weights
        State dict of the other model.
    model
        With :class:`minivit.layers.LessAttention` or without.

    Returns
    -------
    dict
        For ``model.load_state_dict``.

    Raises
    ------
    ValueError
        If the models differ in more than the size of their images.

    Examples
    --------
    >>> from minivit.models import create_model
    >>> small, large = (create_model("vit_nano_patch4_32", image_size=side, attention_layers=[0]) for side in (32, 48))
    >>> large.load_state_dict(interpolate_weights(small.state_dict(), large))
    <All keys matched successfully>
    """
    wanted = model.state_dict()
    if different := name_differences(weights, wanted):
        raise ValueError(f"weights of another model: {different}")
    weights = unwrap_weights(weights)
    maps = {name for name, module in model.named_modules() if isinstance(module, TokenMap)}
    fitted = {}
    for name, weight in weights.items():
        owner, _, last = name.rpartition(".")
        if weight.shape == wanted[name].shape:
            fitted[name] = weight
        elif last == "pos_embed":
            before, after = weight.shape[1], wanted[name].shape[1]
            fitted[name] = interpolation(before, after).to(weight) @ weight
        elif owner in maps:
            before, after = max(weight.shape), max(wanted[name].shape)
            there = interpolation(before, after)
            back = torch.linalg.pinv(there)
            there, back = there.to(weight), back.to(weight)
            if last == "weight":
                fitted[name] = torch.eye(after).to(weight) + there @ (weight - torch.eye(before).to(weight)) @ back
            else:  # W - I is upper @ lower
                fitted[name] = there @ weight if last == "upper" else weight @ back
        if name not in fitted or fitted[name].shape != wanted[name].shape:
            raise ValueError(f"{name} is of shape {tuple(weight.shape)}, the model's of {tuple(wanted[name].shape)}; "
                             "the two must differ in image_size alone")
    return fitted


def interpolation(before: int, after: int) -> Tensor:
    """Return R, (after, before), which interpolates tokens from one square grid to another; rows have sum 1.

    A class token is the one that is left over when the others are a square.
    """
    class_tokens = int(isqrt(before) ** 2 != before)
    sides = [isqrt(n - class_tokens) for n in (before, after)]
    if [side**2 + class_tokens for side in sides] != [before, after]:
        raise ValueError(f"{before} and {after} tokens are not both a square grid, with or without a class token")
    ends = torch.eye(before - class_tokens, dtype=torch.float64).unflatten(1, (sides[0], sides[0]))  # (N, S, S)
    ends = F.interpolate(ends[:, None], size=(sides[1], sides[1]), mode="bilinear", align_corners=False)
    return torch.block_diag(torch.eye(class_tokens, dtype=torch.float64), ends.flatten(1).T)

"""Weights for images of another size: what is bound to a place is interpolated over the grid of places.

Axes: R x S rows and columns of a grid of tokens, N = R * S tokens, or R * S + 1 with a class token, C channels.
"""

from collections.abc import Mapping, Sequence
from math import gcd, isqrt, prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minivit.mixers import TokenMap, TokenMixer
from minivit.models.unwrap import name_differences, unwrap_weights
from minivit.options import image_sides
from minivit.wrappers import unwrap

Grid = tuple[int, int]


def interpolate_weights(weights: dict[str, Tensor], model: nn.Module, *, grid: int | Sequence[int] | None = None
                        ) -> dict[str, Tensor]:
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
        With :class:`minivit.layers.LessAttention` or without; its images need not be square.
    grid
        Patches of the other model, one side of a square or (rows, columns): its ``grids[0]``. None takes them to be as
        wide as high, or else of the proportions of the model's, and what has the model's shape to be of its grid. It
        must be given where both are possible.

    Returns
    -------
    dict
        For ``model.load_state_dict``.

    Raises
    ------
    ValueError
        If the models differ in more than the size of their images, or the old grid cannot be told.

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
    new = getattr(unwrap(model), "grids", ((1, 1),))[0]
    old = None if grid is None else image_sides(grid, "grid")
    same_grid = old is None or old == new
    maps = {name for name, module in model.named_modules() if isinstance(module, TokenMap)}
    mixers = {name: module for name, module in model.named_modules() if isinstance(module, TokenMixer)}
    fitted = {}
    for name, weight in weights.items():
        owner, _, last = name.rpartition(".")
        wants = wanted[name].shape
        belongs_to_places = last == "pos_embed" or owner in maps or fits(name, mixers)
        if weight.shape == wants and (same_grid or not belongs_to_places):
            fitted[name] = weight
        elif last == "pos_embed" and weight.ndim == 4:  # (1, C, R, S): it says its grid itself
            fitted[name] = F.interpolate(weight.double(), size=wants[2:], mode="bilinear").to(weight)
        elif last == "pos_embed":
            fitted[name] = between(weight.shape[1], wants[1], old, new).to(weight) @ weight
        elif mixer := fits(name, mixers):
            fitted[name] = mixer.fit(name.partition(".attn.")[2], weight,
                                     lambda before, mixer=mixer: between(before, mixer.num_tokens, old, new))
        elif owner in maps:
            before, after = max(weight.shape), max(wants)
            there = between(before, after, old, new)
            back = torch.linalg.pinv(there)
            there, back = there.to(weight), back.to(weight)
            if last == "weight":
                fitted[name] = torch.eye(after).to(weight) + there @ (weight - torch.eye(before).to(weight)) @ back
            else:  # W - I is upper @ lower
                fitted[name] = there @ weight if last == "upper" else weight @ back
        if name not in fitted or fitted[name].shape != wants:
            raise ValueError(f"{name} is of shape {tuple(weight.shape)}, the model's of {tuple(wants)}; "
                             "the two must differ in image_size alone")
    return fitted


def fits(name: str, mixers: Mapping[str, TokenMixer]) -> TokenMixer | None:
    """Return the mixer that says how its weights of that name are fitted to its grid, if there is one."""
    owner, attn, last = name.partition(".attn.")
    mixer = mixers.get(owner + attn.rstrip("."))
    return mixer if mixer is not None and last in mixer.grid_weights else None


def between(before: int, after: int, old: Grid | None, new: Grid) -> Tensor:
    """Return R, (after, before), between grids of the proportions of ``old`` (None: to be guessed) and ``new``."""
    if old is None:
        square, like_new = (fit_grid(before, shape) for shape in ((1, 1), new))
        if square and like_new and square != like_new:
            raise ValueError(f"grid=None: {before} tokens of the old weights may be a grid of {square[0][0]} x "
                             f"{square[0][1]} or of {like_new[0][0]} x {like_new[0][1]}; give grid=(rows, columns)")
        old = (1, 1) if square or not like_new else new
    grids = [fit_grid(count, shape) for count, shape in ((before, old), (after, new))]
    if None in grids:
        raise ValueError(f"{before} and {after} tokens are not grids of the proportions {old[0]}:{old[1]} and "
                         f"{new[0]}:{new[1]}, with or without a class token; give grid=(rows, columns)")
    (grid, class_tokens), (new_grid, new_class_tokens) = grids
    if class_tokens != new_class_tokens:
        raise ValueError(f"{before} and {after} tokens: only one of the two has a class token")
    return interpolation(before, after, grid=grid, new_grid=new_grid)


def fit_grid(tokens: int, shape: Grid) -> tuple[Grid, int] | None:
    """Return the grid of the proportions of ``shape`` that N tokens are, and the class tokens, 0 or 1; None if none."""
    rows, columns = (side // gcd(*shape) for side in shape)
    for class_tokens in (0, 1):
        times = isqrt((tokens - class_tokens) // (rows * columns))
        if times and times**2 * rows * columns == tokens - class_tokens:
            return (times * rows, times * columns), class_tokens
    return None


def interpolation(before: int, after: int, *, grid: Grid | None = None, new_grid: Grid | None = None) -> Tensor:
    """Return R, (after, before), which interpolates tokens from one grid to another; rows have sum 1.

    A grid that is not given is a square. A class token is the one that is left over.
    """
    found = [(given, count - prod(given)) if given else fit_grid(count, (1, 1))
             for given, count in ((grid, before), (new_grid, after))]
    if None in found or not found[0][1] == found[1][1] in (0, 1):
        raise ValueError(f"{before} and {after} tokens are not both a square grid, with or without a class token")
    (grid, class_tokens), (new_grid, _) = found
    ends = torch.eye(prod(grid), dtype=torch.float64).unflatten(1, grid)  # (N, R, S)
    ends = F.interpolate(ends[:, None], size=new_grid, mode="bilinear", align_corners=False)
    return torch.block_diag(torch.eye(class_tokens, dtype=torch.float64), ends.flatten(1).T)

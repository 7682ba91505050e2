"""Weights for images of another size: whatever is tied to a position is interpolated over the grid.

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
    r"""Fit the weights of a model to ``model``, which differs from it only in the size of its images.

    Position embeddings are interpolated (bilinearly), and so are the maps over tokens of a less-attention layer: if G
    interpolates tokens from the old grid to the new, a map W becomes

    .. math:: W' = I + G\,(W - I)\,G^+

    where :math:`G^+` is the pseudo-inverse. If the new grid is finer, :math:`G^+ G = I`, so transforming and
    interpolating commute: :math:`W' G = G W`. The identity stays the identity. The class token has no position and is
    carried over unchanged. Mixers fit their own ``grid_weights``, see :meth:`minivit.mixers.TokenMixer.fit`.

    Parameters
    ----------
    weights
        State dict of the other model.
    model
        The model to load them into, with or without :class:`minivit.mixers.LessAttention`; its images need not be
        square.
    grid
        Patches of the other model, as the side of a square or (rows, columns): its ``grids[0]``. None assumes a square
        grid, or else one with the proportions of the new model's; weights that already have the right shape are kept.
        Required where both would fit.

    Returns
    -------
    dict
        State dict for ``model.load_state_dict``.

    Raises
    ------
    ValueError
        If the models differ in more than the size of their images, or the old grid is ambiguous.

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

    def fit(name: str, weight: Tensor) -> Tensor:
        (owner, _, last), wants = name.rpartition("."), wanted[name].shape
        mixer = mixer_of(name, mixers)
        if weight.shape == wants and (same_grid or not (last == "pos_embed" or owner in maps or mixer)):
            return weight
        if last == "pos_embed" and weight.ndim == 4:  # (1, C, R, S): the shape says its grid
            return F.interpolate(weight.double(), size=wants[2:], mode="bilinear").to(weight)
        if last == "pos_embed":
            return between(weight.shape[1], wants[1], old, new).to(weight) @ weight
        if mixer:
            return mixer.fit(name.partition(".attn.")[2], weight,
                             lambda before: between(before, mixer.num_tokens, old, new))
        return fit_map(last, weight, between(max(weight.shape), max(wants), old, new)) if owner in maps else weight

    fitted = {name: fit(name, weight) for name, weight in weights.items()}
    for name, weight in fitted.items():
        if weight.shape != wanted[name].shape:
            raise ValueError(f"{name} has shape {tuple(weights[name].shape)}, the model's has "
                             f"{tuple(wanted[name].shape)}; the two models may differ only in image_size")
    return fitted


def fit_map(part: str, weight: Tensor, there: Tensor) -> Tensor:
    """Fit ``weight``, ``upper`` or ``lower`` of a :class:`minivit.mixers.TokenMap`; ``there`` is G, (after, before)."""
    back = torch.linalg.pinv(there).to(weight)
    there = there.to(weight)
    if part == "weight":
        identity, its_own = (torch.eye(size).to(weight) for size in there.shape)
        return identity + there @ (weight - its_own) @ back
    return there @ weight if part == "upper" else weight @ back  # W - I is upper @ lower


def mixer_of(name: str, mixers: Mapping[str, TokenMixer]) -> TokenMixer | None:
    """Return the mixer that fits the weight of this name to its grid, or None."""
    owner, attn, last = name.partition(".attn.")
    mixer = mixers.get(owner + attn.rstrip("."))
    return mixer if mixer is not None and last in mixer.grid_weights else None


def between(before: int, after: int, old: Grid | None, new: Grid) -> Tensor:
    """Return G, (after, before), between grids with the proportions of ``old`` (None to guess them) and ``new``."""
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
    """Return the grid with the proportions of ``shape`` that N tokens form, and its class tokens, 0 or 1; or None."""
    rows, columns = (side // gcd(*shape) for side in shape)
    for class_tokens in (0, 1):
        times = isqrt((tokens - class_tokens) // (rows * columns))
        if times and times**2 * rows * columns == tokens - class_tokens:
            return (times * rows, times * columns), class_tokens
    return None


def interpolation(before: int, after: int, *, grid: Grid | None = None, new_grid: Grid | None = None) -> Tensor:
    """Return G, (after, before), which interpolates tokens from one grid to another; its rows sum to 1.

    Grids are square by default. One token left over is a class token.
    """
    found = [(given, count - prod(given)) if given else fit_grid(count, (1, 1))
             for given, count in ((grid, before), (new_grid, after))]
    if None in found or not found[0][1] == found[1][1] in (0, 1):
        raise ValueError(f"{before} and {after} tokens are not both a square grid, with or without a class token")
    (grid, class_tokens), (new_grid, _) = found
    ends = torch.eye(prod(grid), dtype=torch.float64).unflatten(1, grid)  # (N, R, S)
    ends = F.interpolate(ends[:, None], size=new_grid, mode="bilinear", align_corners=False)
    return torch.block_diag(torch.eye(class_tokens, dtype=torch.float64), ends.flatten(1).T)

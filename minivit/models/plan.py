"""What the options of a model amount to, after checking that they go together: mixers by layer, grids by stage."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any

from minivit.mixers import mixer_class
from minivit.mixers.less_attention import FORMS
from minivit.mixers.token_map import check_rank
from minivit.options import check_choice, image_sides, is_number, is_whole, layer_indices, scaled_size

UNIFORM_HEADS = ("none", "replace", "matched", "append")

Grid = tuple[int, int]
Plan = list[tuple[str, dict[str, Any]]]  # the mixer's name and its options, layer by layer


def plan_mixers(depth: int, num_tokens: int, *, uniform_head: str, attention_layers: str | Sequence[int],
                less_attention_rank: int | None, less_attention_form: str, mixer: str,
                mixer_options: Mapping[str, Any] | None, mixer_layers: str | Sequence[int]) -> Plan:
    """Return the mixer of each of ``depth`` layers; the other arguments are those of :class:`minivit.models.ViT`.

    Raises
    ------
    ValueError
        Naming an argument that is unknown or out of range, or two that do not go together.
    """
    check_choice(UNIFORM_HEADS, uniform_head=uniform_head)
    check_choice(FORMS, less_attention_form=less_attention_form)
    computes = layer_indices("attention_layers", attention_layers, depth)
    mixes = layer_indices("mixer_layers", mixer_layers, depth)
    less = len(computes) < depth
    if 0 not in computes:
        raise ValueError(f"attention_layers={attention_layers!r} must include layer 0, which has no scores below it "
                         "to transform")
    if mixer_class(mixer).takes_scores:
        raise ValueError(f"mixer={mixer!r} transforms the scores of the layer below: say which layers compute them "
                         "with attention_layers")
    check_rank("less_attention_rank", less_attention_rank, num_tokens)
    rank = None if less_attention_rank is None else int(less_attention_rank)
    other, uniform = mixer != "attention", uniform_head != "none"
    for wrong, one, two, why in (
        (other and less, ("mixer", mixer), ("attention_layers", attention_layers), "both say how tokens mix"),
        (other and uniform, ("mixer", mixer), ("uniform_head", uniform_head), "both say how tokens mix"),
        (less and uniform, ("attention_layers", attention_layers), ("uniform_head", uniform_head),
         "transformed, the scores of a uniform head are no longer uniform"),
        (uniform and mixer_options, ("uniform_head", uniform_head), ("mixer_options", mixer_options),
         "no layer uses the mixer that the options are for"),
        (not less and rank is not None, ("less_attention_rank", less_attention_rank),
         ("attention_layers", attention_layers), "there is no less-attention layer"),
        (not less and less_attention_form != "scores", ("less_attention_form", less_attention_form),
         ("attention_layers", attention_layers), "there is no less-attention layer"),
    ):
        if wrong:
            raise ValueError(f"{one[0]}={one[1]!r} and {two[0]}={two[1]!r} do not go together: {why}")

    def plan(layer: int) -> tuple[str, dict[str, Any]]:
        if uniform:
            return "uniform_head", {}
        if layer not in computes:
            return "less_attention", {"rank": rank, "form": less_attention_form}
        # If the layer above needs the product of queries and keys, compute it here, once for both.
        needed = layer + 1 < depth and layer + 1 not in computes and less_attention_form == "scores"
        options = {"fused": False} if needed else {}
        return (mixer, options | dict(mixer_options or {})) if layer in mixes else ("attention", options)

    return list(map(plan, range(depth)))


def plan_stages(image_size: int | Sequence[int], patch_size: int, *, dims: Sequence[int], depths: Sequence[int],
                attention_depths: Sequence[int], num_heads: Sequence[int], reductions: Sequence[int],
                mlp_ratios: Sequence[float], attention_residual: bool, less_attention_rank: int | None
                ) -> tuple[tuple[Grid, ...], tuple[Grid, ...]]:
    """Return the grids of tokens and of keys, stage by stage; the arguments are those of :class:`minivit.models.LaViT`.

    Raises
    ------
    ValueError
        Naming an argument that is out of range, or two that do not go together.
    """
    by_stage = {"dims": dims, "depths": depths, "attention_depths": attention_depths, "num_heads": num_heads,
                "reductions": reductions, "mlp_ratios": mlp_ratios}
    for name, values in by_stage.items():
        if len(values) != len(dims) or not values:
            raise ValueError(f"{name}={values} must have one number per stage, as dims={dims} has")
        allows, what = (is_number, "numbers") if name == "mlp_ratios" else (is_whole, "whole numbers")
        if not all(allows(value) and value > 0 for value in values):
            raise ValueError(f"{name}={values} must be {what} larger than 0 in every stage; a stage without blocks "
                             "is left out of all of them")
    for dim, ratio in zip(dims, mlp_ratios, strict=True):
        scaled_size(dim, "mlp_ratios", ratio)
    if any(computes > depth for computes, depth in zip(attention_depths, depths, strict=True)):
        raise ValueError(f"attention_depths={attention_depths} must be at most depths={depths}, stage by stage")
    if less_attention_rank is not None and tuple(attention_depths) == tuple(depths):
        raise ValueError(f"less_attention_rank={less_attention_rank} needs less-attention layers: with "
                         f"attention_depths={attention_depths} every block computes attention")
    image, coarsest = image_sides(image_size), patch_size * 2 ** (len(dims) - 1)
    if any(side % coarsest for side in image):
        raise ValueError(f"image_size={image_size} is not a multiple of {coarsest}, the side of a token of the "
                         f"last stage (patch_size={patch_size}, {len(dims)} stages)")
    grids = tuple(tuple(side // patch_size // 2**stage for side in image) for stage in range(len(dims)))
    if any(side % ratio for grid, ratio in zip(grids, reductions, strict=True) for side in grid):
        raise ValueError(f"reductions={reductions} must divide the sides of the grids, {shown(grids)}")
    keys = tuple(tuple(side // ratio for side in grid) for grid, ratio in zip(grids, reductions, strict=True))
    if attention_residual and any(above not in (below, (below[0] / 2, below[1] / 2))
                                  for below, above in pairwise(keys)):
        raise ValueError(f"reductions={reductions} leave grids of {shown(keys)} keys per side; with "
                         "attention_residual the side must stay the same or be halved from stage to stage")
    fewest = min((prod(grid) for grid, computes, blocks in zip(keys, attention_depths, depths, strict=True)
                  if computes < blocks), default=None)
    if fewest is not None:
        check_rank("less_attention_rank", less_attention_rank, fewest)
    return grids, keys


def shown(grids: Sequence[tuple[int, int]]) -> tuple[int | tuple[int, int], ...]:
    """Return the grids for an error message: one side of a square, otherwise rows and columns."""
    return tuple(rows if rows == columns else (rows, columns) for rows, columns in grids)

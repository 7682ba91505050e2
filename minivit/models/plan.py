"""Decide how tokens mix in each layer of a ViT, after checking that its options go together."""

from collections.abc import Mapping, Sequence
from typing import Any

from minivit.mixers import mixer_class
from minivit.mixers.less_attention import FORMS
from minivit.mixers.token_map import check_rank
from minivit.options import check_choice, layer_indices

UNIFORM_HEADS = ("none", "replace", "matched", "append")

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

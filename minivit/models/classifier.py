"""What the models share: a head that maps features to logits and, in those with attention, maps on request.

Axes: B batch, N tokens, M keys, C channels, H heads.
"""

import copy
import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from minivit.layers import Block
from minivit.mixers.scores import LazyMap
from minivit.options import check_at_least, is_whole

log = logging.getLogger(__name__)


class Classifier(nn.Module):
    """A model that ends with ``norm`` and ``head``: a linear layer from features to logits, or the identity."""

    @property
    def num_features(self) -> int:
        """Channels C of the features that the head reads."""
        return self.norm.normalized_shape[0]

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the head with a new, untrained one; with 0 classes there is none, and features (B, C) are returned.

        Raises
        ------
        ValueError
            If ``num_classes`` is negative.
        """
        self.head = create_head(self.num_features, num_classes).to(self.norm.weight)
        for weights in self.head.parameters():
            nn.init.trunc_normal_(weights, std=0.02) if weights.ndim == 2 else nn.init.zeros_(weights)


def create_head(dim: int, num_classes: int) -> nn.Module:
    """Create the head: dim -> num_classes, or the identity for 0 classes."""
    check_at_least(0, num_classes=num_classes)
    return nn.Linear(dim, num_classes) if num_classes else nn.Identity()


@torch.no_grad()
def keep_classes(model: nn.Module, classes: Sequence[int]) -> nn.Module:
    """Return a model with only the logits of the given classes; logit k then belongs to the class ``classes[k]``.

    Parameters
    ----------
    model
        Its ``head`` is a linear layer. It's unchanged, and shares all other layers with the result.
    classes
        Indices of the logits to keep, in [0, num_classes), in this order.

    Raises
    ------
    ValueError
        If the model has no such head, or the classes are not such indices.
    """
    head, classes = model.head, list(classes)
    if not isinstance(model, Classifier) or not isinstance(head, nn.Linear):
        raise ValueError(f"a {type(model).__name__} with the head {type(head).__name__} has no logit for each class of "
                         "an image, of which some could be kept")
    if not classes or not all(is_whole(k) and 0 <= k < head.out_features for k in classes):
        raise ValueError(f"classes={classes} must be one or more indices in [0, {head.out_features})")
    if classes == list(range(head.out_features)):
        return model
    kept = copy.copy(model)
    kept._modules = model._modules.copy()  # else the given model would get the new head, too
    kept.head = nn.Linear(head.in_features, len(classes)).to(head.weight)
    kept.head.weight.copy_(head.weight[classes])
    kept.head.bias.copy_(head.bias[classes])
    return kept


class AttentionClassifier(Classifier):
    """A classifier whose blocks may have attention maps.

    A subclass implements ``tokens(images, maps)``, which returns the tokens after the last block, (B, N, C), and
    appends the map of each block to ``maps`` unless that is None.
    """

    warned = False  # about layers without a map

    def forward_features(self, images: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Map images to normalised tokens (B, N, C) of the last stage; with ``return_attention``, also to the maps.

        For the maps and the errors, see :meth:`forward`.
        """
        maps = self.start_maps(return_attention)
        x = self.norm(self.tokens(images, maps))
        return (x, maps) if return_attention else x

    def pool(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to what the head reads, (B, C): the class token, which is the first, normalised."""
        return self.norm(x[:, 0])

    @property
    def map_losses(self) -> dict[int, Callable[[Tensor, str], Tensor]]:
        """The losses that mixers define on their maps, by the index of the map."""
        losses = [block.attn.map_loss for block in blocks_of(self) if has_map(block)]
        return {i: loss for i, loss in enumerate(losses) if loss}

    @property
    def has_maps(self) -> bool:
        """Whether any of the blocks has an attention map."""
        return any(map(has_map, blocks_of(self)))

    @property
    def layers_without_map(self) -> tuple[int, ...]:
        """Indices of the blocks that mix tokens without an attention map."""
        return tuple(i for i, block in enumerate(blocks_of(self)) if not has_map(block))

    def forward(self, images: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Classify images.

        Parameters
        ----------
        images
            (B, in_channels, height, width), normalised as in training.
        return_attention
            Whether to return the attention maps as well (by the unfused path: slower, same logits).

        Returns
        -------
        Tensor or (Tensor, list of Tensor)
            Logits, (B, num_classes); with ``return_attention`` also one map (B, H, N, N) per block with attention,
            whose rows sum to 1. H and N may differ between stages; with a spatial reduction maps are (B, H, N, M).

        Raises
        ------
        ValueError
            If maps are requested and no block has one. If only some blocks lack maps, a warning lists them, once.
        """
        maps = self.start_maps(return_attention)
        logits = self.head(self.pool(self.tokens(images, maps)))
        return (logits, maps) if return_attention else logits

    def start_maps(self, wanted: bool) -> list[Tensor] | None:
        """Return a list to collect maps in, or None if they aren't wanted.

        A warning, once, tells of blocks without a map, and an error if no block has one.
        """
        if not wanted:
            return None
        without, blocks = self.layers_without_map, blocks_of(self)
        if not without:
            return []
        kinds = ", ".join(sorted({type(blocks[i].attn).__name__ for i in without}))
        if not self.has_maps:
            raise ValueError(f"return_attention=True: no layer of this model has an attention map ({kinds})")
        if not self.warned:
            log.warning("layers %s, counted from 1, have no attention map (%s)",
                        ", ".join(str(i + 1) for i in without), kinds)
            self.warned = True
        return []


def blocks_of(model: nn.Module) -> list[Block]:
    return [module for module in model.modules() if isinstance(module, Block)]


def run_blocks(blocks: Sequence[nn.Module], x: Tensor, maps: list[Tensor] | None = None, *,
               scores: Tensor | LazyMap | None = None, return_scores: bool = False) -> tuple[Tensor, LazyMap | None]:
    """Send tokens through the blocks of a stage, handing the scores of each block to the next if it takes them.

    No other scores are asked for, since each tensor that a compiled block returns costs time in the backward pass, even
    if its gradient is zero.

    Parameters
    ----------
    blocks
        Blocks with attention have it as ``attn``.
    x
        Tokens, (B, N, C).
    maps
        A list that collects the map of each block with attention, (B, H, N, M); None to collect nothing.
    scores
        Scores for the first block.
    return_scores
        Whether the scores of the last block will be needed.

    Returns
    -------
    (Tensor, LazyMap or None)
        Tokens, (B, N, C), and, with ``return_scores``, what the map of the last block is made of, if it has one.
    """
    needed = [*map(takes_scores, blocks[1:]), return_scores]
    for block, hands_up in zip(blocks, needed, strict=True):
        asks = {"return_attention": maps is not None, "return_scores": hands_up} if has_map(block) else {}
        out = block(x, *([scores] if takes_scores(block) else []), **asks)
        x, *found = out if isinstance(out, tuple) else (out,)
        scores = found.pop() if asks.get("return_scores") else None
        if maps is not None:
            maps.extend(found)
    return x, scores


def has_map(block: nn.Module) -> bool:
    return getattr(getattr(block, "attn", None), "has_map", False)


def takes_scores(block: nn.Module) -> bool:
    return getattr(getattr(block, "attn", None), "takes_scores", False)

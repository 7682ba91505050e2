"""LaViT: a model in stages; in the late ones most layers reuse scores (Zhang et al., 2024).

Axes: B batch, R x S rows and columns of the grid of tokens, N = R * S tokens, M keys, C channels (dims), H heads.

There is no official code. What the paper leaves open follows the Pyramid Vision Transformer (PVT, Wang et al., 2021);
the appendix *Papers and code* lists it.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from minivit.layers import Block, check_images, drop_path_rate
from minivit.layers.context import check_without_class_token
from minivit.mixers import Attention, AttentionDownsample, LessAttention, SpatialReduction
from minivit.mixers.scores import Scores
from minivit.models.classifier import AttentionClassifier, create_head, run_blocks
from minivit.models.plan import plan_stages
from minivit.models.vit import init_linear_layers
from minivit.options import check_at_least, check_rate, image_sides, layer_indices


class PatchMerging(nn.Module):
    """Turn each patch of an image, or of tokens, into one token, and add its position embedding.

    Parameters
    ----------
    in_channels, dim
        Channels before and after (C).
    patch_size
        Side of a patch, in pixels or tokens.
    side
        Side of the square grid of output tokens, or its rows and columns (R, S).
    """

    def __init__(self, in_channels: int, dim: int, patch_size: int, side: int | Sequence[int]):
        super().__init__()
        check_at_least(1, in_channels=in_channels, dim=dim, patch_size=patch_size)
        self.grid = rows, columns = image_sides(side, "side")
        self.conv = nn.Conv2d(in_channels, dim, kernel_size=patch_size, stride=patch_size)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pos_embed = nn.Parameter(torch.empty(1, rows * columns, dim))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, grid: Tensor) -> Tensor:
        """Map (B, in_channels, patch_size * R, patch_size * S) to tokens (B, R * S, C), row by row."""
        x = self.conv(grid).flatten(2).mT  # (B, C, R, S) -> (B, N, C)
        return (self.norm(x) + self.pos_embed).to(x)  # under autocast, tokens remain in the precision of the products


class Stage(nn.Module):
    """The blocks on one grid of tokens, and what leads into them from the stage below.

    Parameters
    ----------
    merge
        Makes the tokens.
    downsample
        Fits the scores of the stage below to this one; None if they are not used.
    blocks
        Each a :class:`minivit.layers.Block`; those that compute attention come first.
    """

    def __init__(self, merge: PatchMerging, downsample: AttentionDownsample | None, blocks: Sequence[Block]):
        super().__init__()
        self.merge, self.downsample, self.blocks = merge, downsample, nn.ModuleList(blocks)

    def forward(self, grid: Tensor, scores: Scores | None = None, maps: list[Tensor] | None = None, *,
                return_scores: bool = True) -> tuple[Tensor, Scores | None]:
        """Map a grid (B, in_channels, ...) and the scores of the stage below to a grid (B, C, R, S) and new scores.

        For ``maps`` and ``return_scores``, see :func:`minivit.models.classifier.run_blocks`.
        """
        residual = None if self.downsample is None else self.downsample(scores.product())
        x, scores = run_blocks(self.blocks, self.merge(grid), maps, scores=residual, return_scores=return_scores)
        return x.mT.unflatten(2, self.merge.grid), scores  # (B, N, C) -> (B, C, R, S)


class LaViT(AttentionClassifier):
    """A Vision Transformer in stages: the first layers of each compute attention, and the others transform it.

    Each side of the grid is halved between stages. The keys and values of a layer are merged in squares (spatial
    reduction), which makes large grids affordable. The last scores of a stage are merged too, and added to those of the
    first layer of the next.

    Parameters
    ----------
    image_size
        Side of the image in pixels, or (height, width); multiples of ``patch_size * 2**(stages - 1)``.
    patch_size
        Side in pixels of a patch of the first stage.
    in_channels, num_classes
        Channels of the image; size of the output, or 0 to return features (B, C) instead of logits.
    dims, depths, num_heads
        Channels C, number of blocks, and heads H of each stage.
    attention_depths
        How many blocks of each stage, from the first on, compute attention; at least one. ``depths`` for all of them.
    reductions
        Side, in tokens, of the squares merged for keys and values in each stage; 1 for none.
    mlp_ratios
        Hidden channels of the MLP as a multiple of C, in each stage.
    attention_residual
        Whether a stage hands its last scores to the next.
    less_attention_rank
        Rank of the difference of the score transformations from the identity; None for full rank.
    drop_path
        Rate in [0, 1) of stochastic depth in the last block; it grows linearly from 0 in the first.
    context, context_position
        Uniform attention added by hand, and its position in a block: see :class:`minivit.layers.Block`. There is no
        class token, so it can't be one of those that read it, ``cb_gate`` and ``cb_hybrid``.
    context_layers
        Which blocks have it, counted through all stages: ``upper`` (the deeper half), ``all``, or a sequence of indices
        in [0, sum of depths).

    Attributes
    ----------
    grids
        Rows and columns of tokens in each stage.

    Raises
    ------
    ValueError
        Naming the argument that is out of range.

    Examples
    --------
    >>> model = LaViT(image_size=32, patch_size=4, dims=(32, 64), depths=(1, 3), attention_depths=(1, 1),
    ...               num_heads=(2, 4), reductions=(2, 1), mlp_ratios=(4, 4))
    >>> logits, maps = model(torch.zeros(1, 3, 32, 32), return_attention=True)
    >>> logits.shape, [tuple(a.shape) for a in maps]
    (torch.Size([1, 1000]), [(1, 2, 64, 16), (1, 4, 16, 16), (1, 4, 16, 16), (1, 4, 16, 16)])
    """

    def __init__(self, *, image_size: int | Sequence[int] = 224, patch_size: int = 4, in_channels: int = 3,
                 num_classes: int = 1000, dims: Sequence[int] = (64, 128, 320, 512),
                 depths: Sequence[int] = (2, 2, 4, 2), attention_depths: Sequence[int] = (2, 2, 1, 1),
                 num_heads: Sequence[int] = (1, 2, 5, 8), reductions: Sequence[int] = (8, 4, 2, 1),
                 mlp_ratios: Sequence[float] = (4.0, 4.0, 4.0, 4.0),
                 attention_residual: bool = True, less_attention_rank: int | None = None, drop_path: float = 0.0,
                 context: str = "none", context_position: str = "mlp_end",
                 context_layers: str | Sequence[int] = "upper"):
        super().__init__()
        check_rate(drop_path=drop_path)
        check_without_class_token(context, "LaViT")
        check_at_least(1, patch_size=patch_size, in_channels=in_channels)
        grids, keys = plan_stages(image_size, patch_size, dims=dims, depths=depths, attention_depths=attention_depths,
                                  num_heads=num_heads, reductions=reductions, mlp_ratios=mlp_ratios,
                                  attention_residual=attention_residual, less_attention_rank=less_attention_rank)
        depth = sum(depths)
        with_context = layer_indices("context_layers", context_layers, depth)
        self.image_shape, self.grids = (in_channels, *image_sides(image_size)), grids
        self.attention_residual = attention_residual

        def hands_on(stage: int) -> bool:
            return attention_residual and stage + 1 < len(dims)

        def attention(stage: int, layer: int) -> nn.Module:
            dim, heads, ratio, tokens = dims[stage], num_heads[stage], reductions[stage], prod(grids[stage])
            reduction = SpatialReduction(dim, ratio, grids[stage]) if ratio > 1 else None
            if layer < attention_depths[stage]:
                last = layer + 1 == depths[stage]
                product_needed = hands_on(stage) if last else layer + 1 == attention_depths[stage]
                return Attention(dim, heads, reduction=reduction, fused=not product_needed,
                                 residual=layer == 0 and stage > 0 and hands_on(stage - 1))
            return LessAttention(dim, heads, grid=grids[stage], num_keys=tokens // ratio**2, rank=less_attention_rank,
                                 reduction=reduction)

        def block(stage: int, layer: int) -> Block:
            through_all = sum(depths[:stage]) + layer
            return Block(dims[stage], attention(stage, layer), mlp_ratio=mlp_ratios[stage],
                         drop_path=drop_path_rate(drop_path, through_all, depth),
                         context=context if through_all in with_context else "none", context_position=context_position)

        def stage(i: int) -> Stage:
            merge = PatchMerging(dims[i - 1] if i else in_channels, dims[i], 2 if i else patch_size, grids[i])
            downsample = None
            if i and attention_residual:
                downsample = AttentionDownsample(num_heads[i - 1], num_heads[i], grids[i - 1],
                                                 key_side=keys[i - 1] if keys[i] < keys[i - 1] else None)
            return Stage(merge, downsample, [block(i, layer) for layer in range(depths[i])])

        self.stages = nn.ModuleList(map(stage, range(len(dims))))
        self.norm = nn.LayerNorm(dims[-1], eps=1e-6)
        self.head = create_head(dims[-1], num_classes)
        init_linear_layers(self)

    def feature_maps(self, images: Tensor, maps: list[Tensor] | None = None) -> list[Tensor]:
        """Return the feature map of each stage, for tasks that need more than a class.

        Parameters
        ----------
        images
            (B, in_channels, height, width), normalised as in training.
        maps
            A list that collects the attention map of each block, (B, H, N, M), whose rows sum to 1; None for no maps.

        Returns
        -------
        list of Tensor
            A grid (B, C, R, S) for each stage; R and S halve from stage to stage.

        Raises
        ------
        ValueError
            If the images have another size.
        """
        check_images(images, self.image_shape)
        grids, grid, scores = [], images, None
        needed = [*(stage.downsample is not None for stage in self.stages[1:]), False]
        for stage, hands_up in zip(self.stages, needed, strict=True):
            grid, scores = stage(grid, scores, maps, return_scores=hands_up)
            grids.append(grid)
        return grids

    def tokens(self, images: Tensor, maps: list[Tensor] | None = None) -> Tensor:
        """Map images (B, in_channels, height, width) to tokens (B, N, C) of the last stage."""
        return self.feature_maps(images, maps)[-1].flatten(2).mT  # (B, C, R, S) -> (B, N, C)

    def pool(self, x: Tensor) -> Tensor:
        """Normalise tokens (B, N, C) and average them for the head: (B, C)."""
        return self.norm(x).mean(dim=1)

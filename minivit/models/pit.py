"""The Pooling-based Vision Transformer (PiT, Heo et al., 2021): tokens get fewer and wider towards the top.

Axes: B batch, R x S rows and columns of patches, N = R * S + 1 tokens (patches and the class token), C channels (dims),
H heads.

The names of modules and parameters, the epsilon of LayerNorm and the exact GELU follow timm's ``pit``, so that
published weights load unchanged.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from minivit.layers import Attention, Block, check_images, drop_path_rate
from minivit.models.classifier import AttentionClassifier, create_head, run_blocks
from minivit.options import check_at_least, check_rate, image_sides, is_whole, layer_indices, scaled_size


class OverlappingPatchEmbed(nn.Module):
    """Cut the image into overlapping squares and project each to a token with one matrix, written as a convolution.

    Parameters
    ----------
    image_size
        Side of the image in pixels, or (height, width).
    patch_size, stride
        Side of a patch and step between patches, in pixels. The steps must take the patch exactly from one edge of the
        image to the other.
    in_channels
        Channels of the image.
    dim
        Channels C of a token.

    Raises
    ------
    ValueError
        If the patches leave out part of the image, or if images of another size are passed in.
    """

    def __init__(self, image_size: int | Sequence[int], patch_size: int, stride: int, *, in_channels: int = 3,
                 dim: int = 256):
        super().__init__()
        sides = image_sides(image_size)
        check_at_least(1, patch_size=patch_size, stride=stride, in_channels=in_channels, dim=dim)
        if not stride <= patch_size <= min(sides) or any((side - patch_size) % stride for side in sides):
            raise ValueError(f"patch_size={patch_size} in steps of stride={stride} does not cover "
                             f"image_size={image_size}; stride must be in [1, patch_size] and divide "
                             "image_size - patch_size")
        self.image_shape = (in_channels, *sides)
        self.grid = tuple((side - patch_size) // stride + 1 for side in sides)
        self.conv = nn.Conv2d(in_channels, dim, kernel_size=patch_size, stride=stride)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, in_channels, height, width) to a grid of tokens (B, C, R, S)."""
        check_images(images, self.image_shape)
        return self.conv(images)


class Pooling(nn.Module):
    """Halve the sides of the grid and widen the tokens, as a convolutional network does between its stages.

    A depthwise convolution (3 x 3, stride 2) pools the patches; a linear layer widens the class token, which is not on
    the grid.

    Parameters
    ----------
    dim, out_dim
        Channels before and after; ``out_dim`` is a multiple of ``dim``.
    grid
        Rows R and columns S before pooling.
    """

    def __init__(self, dim: int, out_dim: int, grid: tuple[int, int]):
        super().__init__()
        self.grid = grid
        self.conv = nn.Conv2d(dim, out_dim, kernel_size=3, stride=2, padding=1, groups=dim)
        self.fc = nn.Linear(dim, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, R * S + 1, dim), class token first, to (B, N', out_dim); sides are halved and rounded up."""
        grid = x[:, 1:].mT.unflatten(2, self.grid)  # (B, R * S, C) -> (B, C, R, S)
        patches = self.conv(grid).flatten(2).mT     # (B, out_dim, R / 2, S / 2) -> (B, R / 2 * S / 2, out_dim)
        return torch.cat([self.fc(x[:, :1]), patches], dim=1)


class PiT(AttentionClassifier):
    """A Vision Transformer in stages: patches are pooled between them, so that deeper maps are smaller.

    Parameters
    ----------
    image_size, patch_size, stride
        Side of the image or (height, width), side of a patch, and step between patches, all in pixels.
    in_channels, num_classes
        Channels of the image; size of the output, or 0 to return features (B, C) instead of logits.
    dims, depths, num_heads
        Channels C, number of blocks, and heads H of each stage; each of ``dims`` is a multiple of the one before.
    mlp_ratio
        Hidden channels of the MLP as a multiple of C.
    drop_path
        Rate in [0, 1) of stochastic depth in the last block; it grows linearly from 0 in the first.
    context, context_position
        Uniform attention added by hand, and its position in a block: see :class:`minivit.layers.Block`.
    context_layers
        Which blocks have it, counted through all stages: ``upper`` (the deeper half), ``all``, or a sequence of indices
        in [0, sum of depths).

    Attributes
    ----------
    grids
        Rows and columns of patches in each stage.

    Raises
    ------
    ValueError
        Naming the argument that is out of range.

    Examples
    --------
    >>> model = PiT(image_size=32, patch_size=4, stride=2, dims=(32, 64), depths=(1, 2), num_heads=(2, 4), context="cb")
    >>> logits, maps = model(torch.zeros(1, 3, 32, 32), return_attention=True)
    >>> logits.shape, [tuple(a.shape) for a in maps]
    (torch.Size([1, 1000]), [(1, 2, 226, 226), (1, 4, 65, 65), (1, 4, 65, 65)])
    """

    def __init__(self, *, image_size: int | Sequence[int] = 224, patch_size: int = 14, stride: int = 7,
                 in_channels: int = 3, num_classes: int = 1000, dims: Sequence[int] = (256, 512, 1024),
                 depths: Sequence[int] = (3, 6, 4), num_heads: Sequence[int] = (4, 8, 16), mlp_ratio: float = 4.0,
                 drop_path: float = 0.0, context: str = "none", context_position: str = "mlp_end",
                 context_layers: str | Sequence[int] = "upper"):
        super().__init__()
        check_rate(drop_path=drop_path)
        if not len(dims) == len(depths) == len(num_heads) > 0:
            raise ValueError(f"dims={dims}, depths={depths} and num_heads={num_heads} must have one number per stage")
        for name, sizes in (("dims", dims), ("depths", depths), ("num_heads", num_heads)):
            if not all(is_whole(size) and size >= 1 for size in sizes):
                raise ValueError(f"{name}={sizes} must be whole numbers, at least 1 each")
        if any(wider % narrower for narrower, wider in pairwise(dims)):
            raise ValueError(f"dims={dims} must each be a multiple of the one before")
        scaled_size(dims[0], "mlp_ratio", mlp_ratio)
        depth = sum(depths)
        with_context = layer_indices("context_layers", context_layers, depth)

        def block(layer: int, dim: int, heads: int) -> Block:
            return Block(dim, Attention(dim, heads), mlp_ratio=mlp_ratio,
                         drop_path=drop_path_rate(drop_path, layer, depth),
                         context=context if layer in with_context else "none", context_position=context_position)

        self.patch_embed = OverlappingPatchEmbed(image_size, patch_size, stride, in_channels=in_channels, dim=dims[0])
        self.pos_embed = nn.Parameter(torch.empty(1, dims[0], *self.patch_embed.grid))
        self.cls_token = nn.Parameter(torch.empty(1, 1, dims[0]))
        grids = [self.patch_embed.grid]
        while len(grids) < len(dims):
            grids.append(tuple((side + 1) // 2 for side in grids[-1]))
        self.grids = tuple(grids)
        layers = iter(range(depth))
        self.transformers = nn.ModuleList(
            nn.ModuleDict({
                "pool": Pooling(dims[stage - 1], dim, grids[stage - 1]) if stage > 0 else nn.Identity(),
                "blocks": nn.ModuleList(block(next(layers), dim, heads) for _ in range(blocks)),
            })
            for stage, (dim, blocks, heads) in enumerate(zip(dims, depths, num_heads, strict=True)))
        self.norm = nn.LayerNorm(dims[-1], eps=1e-6)
        self.head = create_head(dims[-1], num_classes)
        # The authors keep PyTorch's defaults for linear layers and convolutions.
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.cls_token, std=0.02)

    def tokens(self, images: Tensor, maps: list[Tensor] | None = None) -> Tensor:
        """Map images (B, in_channels, height, width) to tokens (B, N, C), class token first.

        N and C are those of the last stage.
        """
        grid = self.patch_embed(images)
        grid = grid + self.pos_embed.to(grid)                                                 # (B, C, R, S)
        first = self.cls_token.to(grid).expand(len(grid), -1, -1)
        x = torch.cat([first, grid.flatten(2).mT], dim=1)                                     # (B, N, C)
        for stage in self.transformers:
            x, _ = run_blocks(stage["blocks"], stage["pool"](x), maps)
        return x

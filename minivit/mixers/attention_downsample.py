"""Attention scores handed from one stage to the next, which has fewer tokens and other heads (Zhang et al., 2024).

Axes: B batch, R x S rows and columns of the grid, N = R * S tokens (queries), M keys, H heads.
"""

from collections.abc import Sequence
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minivit.options import check_at_least, image_sides


class AttentionDownsample(nn.Module):
    """Merge the scores of each 2 x 2 patch of tokens, and mix them into the heads of the next stage.

    Each side of the grid is halved between two stages, so one token above stands for four below. In row-by-row order
    those four are not adjacent, so the tokens are first reordered to make them so. Three steps follow:

    1. A convolution whose stride equals its kernel merges each four, along the queries and, where the keys shrink too,
       along the keys. It treats each head separately and starts as the mean.
    2. GroupNorm, with one group per head, brings the scores of each head to mean 0 and variance 1.
    3. A 1 x 1 convolution mixes the heads.

    The last step starts at zero, so an untrained residual changes nothing. No random numbers are drawn, so the rest of
    the model starts from the same weights with or without it. GroupNorm needs no scale or shift: the convolution after
    it can scale, and softmax ignores a constant added to all scores.

    Parameters
    ----------
    num_heads, out_heads
        Heads H before and after.
    side
        Side of the square grid of tokens below, or its rows and columns (R, S), even.
    key_side
        The same for the grid of keys below, if the keys are merged too. It equals ``side`` where the tokens are the
        keys, and is smaller with a spatial reduction. None if there are as many keys above as below.

    Raises
    ------
    ValueError
        If a side is odd.
    """

    def __init__(self, num_heads: int, out_heads: int, side: int | Sequence[int], *,
                 key_side: int | Sequence[int] | None = None):
        super().__init__()
        check_at_least(1, num_heads=num_heads, out_heads=out_heads)
        for name, length in (("side", side), ("key_side", key_side)):
            if length is not None and any(n % 2 for n in image_sides(length, name)):
                raise ValueError(f"{name}={length} must be even, so that 2 x 2 patches cover the grid")
        self.register_buffer("order", patch_order(side), persistent=False)
        self.register_buffer("key_order", None if key_side is None else patch_order(key_side), persistent=False)
        kernel = (4,) if key_side is None else (4, 4)
        self.merging = nn.Parameter(torch.full((num_heads, *kernel), 1 / prod(kernel)))
        self.heads = nn.Parameter(torch.zeros(out_heads, num_heads))

    def forward(self, scores: Tensor) -> Tensor:
        """Map scores (B, H, N, M) to (B, out_heads, N / 4, M), with M / 4 where the keys are merged."""
        merged = self.merge(scores)
        # With one group per head, GroupNorm is LayerNorm over queries and keys; F.group_norm refuses a single score.
        return torch.einsum("gh,bhij->bgij", self.heads, F.layer_norm(merged, merged.shape[2:]))

    def merge(self, scores: Tensor) -> Tensor:
        """Merge the tokens of each 2 x 2 patch, head by head: the first of the three steps."""
        # A convolution whose stride equals its kernel is a product with each group of four. PyTorch's grouped
        # convolution takes up to six times as long on a CPU.
        patches = scores[:, :, self.order].unflatten(2, (-1, 4))
        if self.key_order is None:
            return torch.einsum("bhiuj,hu->bhij", patches, self.merging)
        return torch.einsum("bhiujv,huv->bhij", patches[..., self.key_order].unflatten(-1, (-1, 4)), self.merging)


def patch_order(side: int | Sequence[int]) -> Tensor:
    """Return the row-by-row indices of a grid's tokens in the order of its 2 x 2 patches, (R * S,)."""
    rows, columns = image_sides(side, "side")
    # Row of patches, row, column of patches, column.
    places = torch.arange(rows * columns).reshape(rows // 2, 2, columns // 2, 2)
    return places.transpose(1, 2).flatten()

"""Scores of one stage for the next, where there are fewer tokens and other heads (Zhang et al., 2024).

Axes: B batch, R x S rows and columns of the grid, N = R * S tokens (queries), M keys, H heads.
"""

from collections.abc import Sequence
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minivit.options import check_at_least, image_sides


class AttentionDownsample(nn.Module):
    """Merge the scores of each 2 x 2 patch of tokens, and deal them out to the heads of the next stage.

    Between two stages the sides of the grid are halved, so a token above stands for four below. Row by row, these four
    are not neighbours. So the tokens are put in an order in which they are; then a convolution whose stride equals its
    kernel merges the four, along the queries, and along the keys where these shrink as well. The convolution acts on
    each head by itself and starts as the mean; GroupNorm, with a group a head, brings the scores of a head to mean 0
    and variance 1; a 1 x 1 convolution mixes the heads. It starts at zero: an untrained residual changes nothing, and
    nothing is drawn, so that a model starts from the same other weights with it and without. GroupNorm has no scale and
    shift of its own: the convolution above it scales, and softmax does not see what is added to all scores.

    Parameters
    ----------
    num_heads, out_heads
        Heads H before and after.
    side
        Side of the square grid of tokens below, or rows and columns (R, S), even.
    key_side
        The same of the grid of keys below, if the keys are merged too: that of the tokens where they are the keys
        themselves, less with a spatial reduction. None where a reduction leaves as many keys above as below.

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
        # A group a head is the norm over queries and keys; F.group_norm refuses a single image with a single score.
        return torch.einsum("gh,bhij->bgij", self.heads, F.layer_norm(merged, merged.shape[2:]))

    def merge(self, scores: Tensor) -> Tensor:
        """Merge the tokens of each 2 x 2 patch, head by head: the first of the three steps."""
        # Where stride equals kernel, a convolution is a product with each group of four. PyTorch's, of one channel a
        # head, takes up to six times as long on a CPU.
        patches = scores[:, :, self.order].unflatten(2, (-1, 4))
        if self.key_order is None:
            return torch.einsum("bhiuj,hu->bhij", patches, self.merging)
        return torch.einsum("bhiujv,huv->bhij", patches[..., self.key_order].unflatten(-1, (-1, 4)), self.merging)


def patch_order(side: int | Sequence[int]) -> Tensor:
    """Return the places, in a grid read row by row, of its tokens read 2 x 2 patch by 2 x 2 patch: (R * S,).

    The grid is a square of that side, or of rows and columns (R, S).
    """
    rows, columns = image_sides(side, "side")
    # Row of patches, row, column of patches, column.
    places = torch.arange(rows * columns).reshape(rows // 2, 2, columns // 2, 2)
    return places.transpose(1, 2).flatten()

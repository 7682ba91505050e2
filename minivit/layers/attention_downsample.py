"""Scores of one stage for the next, where there are fewer tokens and other heads (Zhang et al., 2024).

Axes: B batch, S side of the grid, N = S * S tokens (queries), M keys, H heads.
"""

import torch
from torch import Tensor, nn


class AttentionDownsample(nn.Module):
    """Merge the scores of each 2 x 2 patch of tokens, and deal them out to the heads of the next stage.

    Between two stages the sides of the grid are halved, so a token above stands for four below. Row by row, these four
    are not neighbours. So the tokens are put in an order in which they are; then a convolution whose stride equals its
    kernel merges the four, along the queries, and along the keys where these shrink as well. The convolution acts on
    each head by itself and starts as the mean; GroupNorm brings the scores of a head to mean 0 and variance 1; a 1 x 1
    convolution mixes the heads. It starts at zero: an untrained residual changes nothing.

    Parameters
    ----------
    num_heads, out_heads
        Heads H before and after.
    side
        Side S of the grid of tokens below, even.
    keys
        Whether the keys shrink too: yes where they are the tokens themselves, no where a spatial reduction leaves as
        many above as below.

    Raises
    ------
    ValueError
        If ``side`` is odd.
    """

    def __init__(self, num_heads: int, out_heads: int, side: int, *, keys: bool):
        super().__init__()
        if side < 2 or side % 2:
            raise ValueError(f"side={side} must be even, so that 2 x 2 patches cover the grid")
        self.keys = keys
        self.register_buffer("order", patch_order(side), persistent=False)
        kernel = (4, 4 if keys else 1)
        self.conv = nn.Conv2d(num_heads, num_heads, kernel, stride=kernel, groups=num_heads, bias=False)
        self.norm = nn.GroupNorm(num_heads, num_heads)
        self.heads = nn.Conv2d(num_heads, out_heads, kernel_size=1, bias=False)
        nn.init.constant_(self.conv.weight, 1 / (kernel[0] * kernel[1]))
        nn.init.zeros_(self.heads.weight)

    def forward(self, scores: Tensor) -> Tensor:
        """Map scores (B, H, N, M) to (B, out_heads, N / 4, M), or (B, out_heads, N / 4, M / 4) where keys shrink."""
        return self.heads(self.norm(self.merge(scores)))

    def merge(self, scores: Tensor) -> Tensor:
        """Merge the tokens of each 2 x 2 patch, head by head: the first of the three steps."""
        scores = scores[:, :, self.order]
        return self.conv(scores[..., self.order] if self.keys else scores)


def patch_order(side: int) -> Tensor:
    """Return the places, in a grid read row by row, of its tokens read 2 x 2 patch by 2 x 2 patch: (side * side,)."""
    places = torch.arange(side * side).reshape(side // 2, 2, side // 2, 2)  # row of patches, row, column of patches, ..
    return places.transpose(1, 2).flatten()

"""Attention with one uniform head (Hyeon-Woo et al., 2023, table 1).

Axes: B batch, N tokens, C channels, H heads, D = C / H head size.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from minivit.mixers.attention import Attention, split_dim
from minivit.mixers.base import Grid, MapMixer
from minivit.mixers.dropout import Dropout
from minivit.mixers.scores import Scores
from minivit.options import check_at_least


class UniformHeadMap(NamedTuple):
    """The scores of all heads except the last, whose map is uniform."""

    scores: Scores

    def map(self) -> Tensor:
        """Return the map, (B, H, N, N)."""
        maps = self.scores.map()
        return torch.cat([maps, torch.full_like(maps[:, :1], 1 / maps.shape[-1])], dim=1)


class UniformHeadAttention(MapMixer):
    r"""Let H - 1 heads compute their maps, and give the last one the map whose weights are all 1/N.

    The uniform head needs no queries or keys. It averages its values, and the average of linear maps is the linear map
    of the average:

    .. math:: \frac{1}{N}\sum_{j=1}^{N} (W_V x_j + b_V) = W_V \bar x + b_V, \qquad
              \bar x = \frac{1}{N}\sum_{j=1}^{N} x_j

    So one product with the mean token replaces N of them, and every token receives the same result.

    Parameters
    ----------
    dim, num_heads
        Channels C and heads H, at least 2 including the uniform one.
    grid, prefix_tokens
        Ignored.
    qkv_bias, dropout
        As for :class:`minivit.mixers.Attention`.

    Raises
    ------
    ValueError
        If ``dim`` is not a multiple of ``num_heads``, or if ``num_heads`` is below 2.
    """

    def __init__(self, dim: int, num_heads: int, *, grid: Grid | None = None, prefix_tokens: int = 0,
                 qkv_bias: bool = True, dropout: float = 0.0):
        super().__init__()
        check_at_least(1, num_heads=num_heads)
        if num_heads < 2:
            raise ValueError(f"num_heads={num_heads} must be at least 2, as one head is uniform")
        head_size = split_dim(dim, num_heads)
        self.attn = Attention(dim, num_heads - 1, head_size=head_size, qkv_bias=qkv_bias, dropout=dropout)
        self.value = nn.Linear(dim, head_size, bias=qkv_bias)
        self.proj = nn.Linear(head_size, dim, bias=False)  # its rows of the whole projection; the bias is in attn.proj
        self.dropout = Dropout(dropout)

    def mix(self, x: Tensor, scores: Scores | None = None, *, with_map: bool = False) -> tuple[Tensor, UniformHeadMap]:
        uniform = self.dropout(self.proj(self.value(x.mean(dim=1, keepdim=True))))  # (B, 1, C)
        out, scores = self.attn(x, return_scores=True)
        return out + uniform, UniformHeadMap(scores)

"""Attention at linear cost: efficient attention (Shen et al., 2021).

Axes: B batch, N tokens, C channels, H heads, D = C / H head size.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from minivit.mixers.attention import merge_heads, split_dim, split_heads
from minivit.mixers.base import Grid, MapMixer
from minivit.mixers.dropout import Dropout
from minivit.mixers.scores import Scores
from minivit.options import check_rate


class LinearMap(NamedTuple):
    """A map that is a plain product of queries and keys, (B, H, N, D) each, both after their softmax."""

    queries: Tensor
    keys: Tensor

    def map(self) -> Tensor:
        """Return the map, (B, H, N, N)."""
        weights = self.queries @ self.keys.mT
        weights = weights.to(torch.promote_types(weights.dtype, torch.float32))
        return weights / weights.sum(dim=-1, keepdim=True)  # the sum is 1 up to rounding


class LinearAttention(MapMixer):
    r"""Sum the values once for each channel of the keys, then let every token mix the D sums.

    .. math:: Y = \operatorname{softmax}_D(Q)\,\big(\operatorname{softmax}_N(K)^\top V\big)

    The softmax of the queries is over channels, the softmax of the keys over tokens. So the implied map
    :math:`\operatorname{softmax}_D(Q)\operatorname{softmax}_N(K)^\top` has positive weights and rows that sum to 1, as
    in attention, but its rank is at most D. Multiplied in this order, the product costs N D² instead of N² D.

    Parameters
    ----------
    dim, num_heads
        Channels C and heads H.
    grid, prefix_tokens
        Ignored: the layer knows nothing about positions.
    qkv_bias, dropout
        As for :class:`minivit.mixers.Attention`.

    Raises
    ------
    ValueError
        If ``dim`` is not a multiple of ``num_heads``.

    References
    ----------
    Shen et al., "Efficient Attention: Attention with Linear Complexities", 2021.
    """

    def __init__(self, dim: int, num_heads: int = 8, *, grid: Grid | None = None, prefix_tokens: int = 0,
                 qkv_bias: bool = True, dropout: float = 0.0):
        super().__init__()
        check_rate(dropout=dropout)
        split_dim(dim, num_heads)
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def mix(self, x: Tensor, scores: Scores | None = None, *, with_map: bool = False) -> tuple[Tensor, LinearMap]:
        q, k, v = (split_heads(part, self.num_heads) for part in self.qkv(x).chunk(3, dim=-1))
        q, k = q.softmax(dim=-1), k.softmax(dim=-2)
        return self.dropout(self.proj(merge_heads(q @ (k.mT @ v)))), LinearMap(q, k)

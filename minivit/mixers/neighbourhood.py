"""Attention in a window around each token (Ramachandran et al., 2019; Hassani et al., 2023).

Axes: B batch, P prefix tokens, N tokens, C channels, H heads, D head size, G groups of queries, W keys in a window.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minivit.mixers.attention import merge_heads, split_dim, split_heads
from minivit.mixers.base import Grid, MapMixer, check_tokens, count_tokens
from minivit.mixers.dropout import Dropout
from minivit.mixers.scores import Factors, Scores, attention_map
from minivit.options import check_rate, image_sides


class WindowMap(NamedTuple):
    """Scores masked to a window.

    Attributes
    ----------
    scores
        Scores between all tokens.
    windows
        Indices of the tokens that each group of patches attends to, (G, P + W).
    groups
        Index of the group that each patch belongs to, (N - P,).
    """

    scores: Factors
    windows: Tensor
    groups: Tensor

    def map(self) -> Tensor:
        """Return the map, (B, H, N, N), zero outside the windows."""
        scores = self.scores.product()
        prefix_tokens = scores.shape[-1] - len(self.groups)
        unseen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device)
        unseen[:prefix_tokens] = False
        unseen[prefix_tokens:].scatter_(1, self.windows[self.groups], False)
        return attention_map(scores.masked_fill(unseen, -torch.inf))


class NeighbourhoodAttention(MapMixer):
    """Let each patch attend to a window around it and to the prefix tokens; the prefix tokens attend to everything.

    At the border the window is shifted inwards, so that it keeps its size. With a ``stride``, all patches in a square
    of that side share one window around the square. A window as large as the grid gives full attention; a stride as
    long as the window cuts the grid into blocks that don't see each other. For a fixed window, the cost is proportional
    to N.

    Parameters
    ----------
    dim, num_heads
        Channels C and heads H.
    grid
        Rows and columns of patches.
    prefix_tokens
        P.
    window
        Side of the window in patches, or (rows, columns); clipped to the grid.
    stride
        Side of the squares of patches that share a window, or (rows, columns); at most ``window``.
    qkv_bias, dropout
        As for :class:`minivit.mixers.Attention`.

    Raises
    ------
    ValueError
        If ``dim`` is not a multiple of ``num_heads``, or the stride is longer than the window.

    References
    ----------
    Ramachandran et al., "Stand-Alone Self-Attention in Vision Models", NeurIPS 2019. Hassani et al., "Neighborhood
    Attention Transformer", CVPR 2023.
    """

    bound_to_grid = True

    def __init__(self, dim: int, num_heads: int = 8, *, grid: Grid, prefix_tokens: int = 0,
                 window: int | Sequence[int] = 3, stride: int | Sequence[int] = 1, qkv_bias: bool = True,
                 dropout: float = 0.0):
        super().__init__()
        check_rate(dropout=dropout)
        self.num_tokens = count_tokens(grid, prefix_tokens)
        windows = [min(pair) for pair in zip(image_sides(window, "window"), grid, strict=True)]
        strides = [min(pair) for pair in zip(image_sides(stride, "stride"), grid, strict=True)]
        if any(s > w for s, w in zip(strides, windows, strict=True)):
            raise ValueError(f"stride={stride} must be at most window={window}: a patch must lie in its own window")
        self.num_heads, self.prefix_tokens = num_heads, prefix_tokens
        self.scale = split_dim(dim, num_heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)
        lines = [group(*sides) for sides in zip(grid, windows, strides, strict=True)]
        (rows, row_keys, row_place), (columns, column_keys, column_place) = lines
        places = torch.arange(prefix_tokens, self.num_tokens).reshape(grid)
        asks = places[rows[:, None, :, None], columns[None, :, None, :]].flatten(0, 1).flatten(1)          # (G, s s')
        keys = places[row_keys[:, None, :, None], column_keys[None, :, None, :]].flatten(0, 1).flatten(1)  # (G, W)
        prefix = torch.arange(prefix_tokens).expand(len(keys), -1)
        # Where in (G, s s') to find each patch: a square moved back from the border holds some patches a second time.
        answers = torch.arange(asks.numel()).reshape(len(rows), len(columns), *strides).transpose(1, 2).flatten(2)
        answers = answers.flatten(0, 1)[row_place[:, None], column_place]
        self.register_buffer("asks", asks, persistent=False)
        self.register_buffer("keys", torch.cat([prefix, keys], dim=1), persistent=False)  # (G, P + W)
        self.register_buffer("answers", answers.flatten(), persistent=False)              # (R S,)
        self.register_buffer("groups", answers.flatten() // asks.shape[1], persistent=False)

    def mix(self, x: Tensor, scores: Scores | None = None, *, with_map: bool = False) -> tuple[Tensor, WindowMap]:
        check_tokens(self, x)
        q, k, v = (split_heads(part, self.num_heads) for part in self.qkv(x).chunk(3, dim=-1))
        prefix = F.scaled_dot_product_attention(q[:, :, :self.prefix_tokens], k, v, scale=self.scale)
        patches = F.scaled_dot_product_attention(q[:, :, self.asks], k[:, :, self.keys], v[:, :, self.keys],
                                                 scale=self.scale)                   # (B, H, G, ..., D)
        out = torch.cat([prefix, patches.flatten(2, 3)[:, :, self.answers]], dim=2)  # (B, H, N, D)
        return (self.dropout(self.proj(merge_heads(out))),
                WindowMap(Factors(q, k, self.scale), self.keys, self.groups))


def group(length: int, window: int, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut a line of patches into groups that share a window.

    Returns
    -------
    Tensor of shape (groups, stride), (groups, window) and (length,)
        Positions of the patches in each group, the last group moved back onto the line; positions in its window, which
        is centred on the group as far as the ends of the line allow; and, for each position, its index in the flattened
        (groups x stride).
    """
    first = torch.arange(0, length, stride).clamp(max=length - stride)
    start = (first - (window - stride) // 2).clamp(0, length - window)
    place = torch.arange(length)
    mine = place // stride
    return (first[:, None] + torch.arange(stride), start[:, None] + torch.arange(window),
            mine * stride + place - first[mine])

"""Multi-head self-attention (Vaswani et al., 2017, section 3.2).

Axes: B batch, N tokens, C channels, H heads, D = C / H head size, M keys (N, or fewer with a spatial reduction).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from minivit.mixers.base import Grid, MapMixer
from minivit.mixers.dropout import Dropout
from minivit.mixers.scores import Factors, Scores, attend
from minivit.options import check_at_least, check_rate


class Attention(MapMixer):
    r"""Every token looks at every token and takes a weighted average of their values.

    In each head, :math:`\operatorname{softmax}(Q K^\top / \sqrt{D})\, V`; the heads are concatenated and projected.

    The fused kernel is the default: it never writes the N x M map to memory. Asking for the map takes the unfused path,
    which computes the same output.

    Parameters
    ----------
    dim
        Channels C.
    num_heads
        Heads H.
    grid, prefix_tokens
        Ignored: attention knows nothing about positions.
    head_size
        Size D of a head; C / H if None, in which case H must divide C.
    qkv_bias
        Whether queries, keys and values have a bias.
    dropout
        Rate in [0, 1) on the output of the projection.
    reduction
        Maps the tokens (B, N, C) to the ones that give keys and values, (B, M, C): see
        :class:`minivit.mixers.SpatialReduction`. None if all tokens do.
    fused
        Whether to use the fused kernel. It doesn't pay where the layer above needs the product of queries and keys,
        which is then computed once for both layers.
    residual
        Whether to add the scores of the layer below to this layer's own.

    Raises
    ------
    ValueError
        If ``dim`` is not a multiple of ``num_heads`` and ``head_size`` is None, or if a number is out of range.
    """

    def __init__(self, dim: int, num_heads: int = 8, *, grid: Grid | None = None, prefix_tokens: int = 0,
                 head_size: int | None = None, qkv_bias: bool = True, dropout: float = 0.0,
                 reduction: nn.Module | None = None, fused: bool = True, residual: bool = False):
        super().__init__()
        check_rate(dropout=dropout)
        if head_size is None:
            head_size = split_dim(dim, num_heads)
        check_at_least(1, dim=dim, num_heads=num_heads, head_size=head_size)
        self.num_heads = num_heads
        self.scale = head_size ** -0.5
        self.reduction, self.fused, self.takes_scores = reduction, fused, residual
        self.qkv = nn.Linear(dim, 3 * num_heads * head_size, bias=qkv_bias)
        self.proj = nn.Linear(num_heads * head_size, dim)
        self.dropout = Dropout(dropout)

    def mix(self, x: Tensor, scores: Scores | None = None, *, with_map: bool = False) -> tuple[Tensor, Scores]:
        qkv = self.qkv(x) if self.reduction is None else None
        parts = self.project_reduced(x) if qkv is None else qkv.chunk(3, dim=-1)
        q, k, v = (split_heads(part, self.num_heads) for part in parts)
        lazy = Factors(q, k, self.scale, None if scores is None else scores.product())
        if with_map or not self.fused:
            lazy = lazy.multiplied_out()
        elif scores is None and qkv is not None and fits_one_kernel(qkv, self.num_heads):
            from minivit.mixers.packed import attend_packed

            return self.dropout(self.proj(attend_packed(qkv, self.num_heads))), lazy
        return self.dropout(self.proj(merge_heads(attend(lazy, v)))), lazy

    def project_reduced(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project tokens (B, N, C) to queries (B, N, H D), and the reduced tokens to keys and values (B, M, H D)."""
        sizes = [len(self.qkv.weight) // 3, 2 * len(self.qkv.weight) // 3]
        biases = (None, None) if self.qkv.bias is None else self.qkv.bias.split(sizes)
        query, key_value = zip(self.qkv.weight.split(sizes), biases, strict=True)
        return F.linear(x, *query), *F.linear(self.reduction(x), *key_value).chunk(2, dim=-1)


def fits_one_kernel(qkv: Tensor, num_heads: int) -> bool:
    """Return whether :mod:`minivit.mixers.packed` can handle ``qkv``, (B, N, 3 H D)."""
    if not qkv.is_cuda:
        return False
    from minivit.mixers import packed  # needs Triton, which comes with torch's CUDA builds

    return packed.fits(qkv, num_heads)


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Map (B, N, H D) to (B, H, N, D)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """Map (B, H, N, D) to (B, N, H D)."""
    return x.transpose(1, 2).flatten(2)


def split_dim(dim: int, num_heads: int) -> int:
    """Return the size of each head when ``num_heads`` heads share ``dim`` channels."""
    check_at_least(1, dim=dim, num_heads=num_heads)
    if dim % num_heads:
        raise ValueError(f"dim={dim} cannot be split into num_heads={num_heads} heads of equal size; "
                         "dim must be a multiple of num_heads")
    return dim // num_heads

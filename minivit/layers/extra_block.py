"""One more half block: attention alone, or an MLP alone (Hyeon-Woo et al., 2023, figure 3).

Axes: B batch, N tokens, C channels, H heads.
"""

from torch import Tensor, nn

from minivit.mixers.attention import Attention
from minivit.mixers.mlp import Mlp
from minivit.mixers.scores import LazyMap
from minivit.options import check_at_least


class ExtraMsa(nn.Module):
    r"""One more look at the other tokens: :math:`x \leftarrow x + \operatorname{MSA}(\operatorname{LN}(x))`.

    Parameters
    ----------
    dim, num_heads
        Channels C and heads H.
    qkv_bias, dropout
        As for :class:`minivit.mixers.Attention`.
    """

    def __init__(self, dim: int, num_heads: int, *, qkv_bias: bool = True, dropout: float = 0.0):
        super().__init__()
        check_at_least(1, dim=dim, num_heads=num_heads)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, num_heads, qkv_bias=qkv_bias, dropout=dropout)

    def forward(self, x: Tensor, **asks: bool) -> Tensor | tuple[Tensor | LazyMap, ...]:
        """Map tokens (B, N, C) to tokens (B, N, C); for ``asks``, see :class:`minivit.layers.Block`."""
        mixed = self.attn(self.norm1(x), **asks)
        mixed, *asked_for = mixed if isinstance(mixed, tuple) else (mixed,)
        return (x + mixed, *asked_for) if asked_for else x + mixed


class ExtraMlp(nn.Module):
    r"""Each token thinks once more by itself: :math:`x \leftarrow x + \operatorname{MLP}(\operatorname{LN}(x))`.

    With 2 C hidden channels it has 4 C² weights, as many as :class:`ExtraMsa`, so that the two can be compared.

    Parameters
    ----------
    dim
        Channels C.
    dropout
        As for :class:`minivit.layers.Mlp`.
    """

    def __init__(self, dim: int, *, dropout: float = 0.0):
        super().__init__()
        check_at_least(1, dim=dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, 2 * dim, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to tokens (B, N, C)."""
        return x + self.mlp(self.norm2(x))

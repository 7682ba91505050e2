"""A transformer block: tokens mix, then channels mix, each as a correction to what was there.

Axes: B batch, N tokens, C channels, H heads.
"""

from torch import Tensor, nn

from minivit.layers.attention import Attention
from minivit.layers.context import CONTEXT_POSITIONS, create_context
from minivit.layers.mlp import Mlp
from minivit.layers.uniform_head import UniformHeadAttention


class DropPath(nn.Module):
    """Stochastic depth: drop a whole branch for some images of the batch (Huang et al., 2016).

    In training each image keeps the branch with probability ``1 - rate``, divided by it, so that the mean is unchanged.
    In evaluation nothing is dropped.

    Parameters
    ----------
    rate
        Probability, in [0, 1), that an image loses the branch.
    """

    def __init__(self, rate: float = 0.0):
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"rate={rate} is not a probability in [0, 1)")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Map a branch (B, ...) to the same shape."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = x.new_empty(len(x), *[1] * (x.ndim - 1)).bernoulli_(keep)
        return x * mask / keep

    def extra_repr(self) -> str:
        return f"rate={self.rate:.3g}"


class Block(nn.Module):
    r"""Attention, then MLP, each on normalised tokens (pre-norm) and added to what was there.

    .. math:: x \leftarrow x + \operatorname{MSA}(\operatorname{LN}(x)), \qquad
              x \leftarrow x + \operatorname{MLP}(\operatorname{LN}(x))

    Parameters
    ----------
    dim, num_heads
        Channels C and heads H.
    mlp_ratio
        Hidden channels of the MLP, as a multiple of ``dim``.
    qkv_bias
        Whether queries, keys and values have a bias.
    dropout, drop_path
        Rates in [0, 1) of dropout and of stochastic depth.
    context
        ``none``, ``cb``, ``cb_s``, ``cb_gate``, ``cb_hybrid`` or ``se``: see :mod:`minivit.layers.context`.
    context_position
        ``mlp_end`` (the paper's choice), ``mlp_mid``, ``mlp_front``, ``msa_end``, or ``both`` (MSA end and MLP end).
    uniform_head
        Whether the last head is uniform: see :class:`minivit.layers.UniformHeadAttention`.

    Raises
    ------
    ValueError
        If ``context`` or ``context_position`` is not known.
    """

    def __init__(self, dim: int, num_heads: int, *, mlp_ratio: float = 4.0, qkv_bias: bool = True, dropout: float = 0.0,
                 drop_path: float = 0.0, context: str = "none", context_position: str = "mlp_end",
                 uniform_head: bool = False):
        super().__init__()
        if context_position not in CONTEXT_POSITIONS:
            raise ValueError(f"context_position={context_position!r} is not known; "
                             f"it is one of {', '.join(CONTEXT_POSITIONS)}")

        def context_at(position: str, size: int) -> nn.Module:
            places = ("msa_end", "mlp_end") if context_position == "both" else (context_position,)
            return create_context(context if position in places else "none", size)

        hidden_dim = round(dim * mlp_ratio)
        attention = UniformHeadAttention if uniform_head else Attention
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = attention(dim, num_heads, qkv_bias=qkv_bias, dropout=dropout)
        self.context = context_at("msa_end", dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, hidden_dim, dropout=dropout, front=context_at("mlp_front", dim),
                       mid=context_at("mlp_mid", hidden_dim), end=context_at("mlp_end", dim))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Map tokens (B, N, C) to tokens (B, N, C); with ``return_attention`` also return the maps (B, H, N, N)."""
        mixed = self.attn(self.norm1(x), return_attention)
        mixed, attention = mixed if return_attention else (mixed, None)
        x = x + self.drop_path(self.context(mixed))
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return (x, attention) if return_attention else x

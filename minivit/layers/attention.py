"""Multi-head self-attention (Vaswani et al., 2017, section 3.2).

Axes: B batch, N tokens, C channels, H heads, D = C / H head size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    r"""Every token asks every token, and takes an average of their values.

    In each head, :math:`\operatorname{softmax}(Q K^\top / \sqrt{D})\, V`; the heads are concatenated and projected.

    The fused kernel is used by default: it never writes the N x N map to memory. Asking for the map takes the unfused
    path, which computes the same output in four lines.

    Parameters
    ----------
    dim
        Channels C, a multiple of ``num_heads``.
    num_heads
        Heads H.
    head_size
        Size D of a head; C / H if None, and then H must divide C.
    qkv_bias
        Whether queries, keys and values have a bias.
    dropout
        Rate in [0, 1) on the output of the projection.

    Raises
    ------
    ValueError
        If ``dim`` is not a multiple of ``num_heads`` and ``head_size`` is None.
    """

    def __init__(self, dim: int, num_heads: int = 8, *, head_size: int | None = None, qkv_bias: bool = True,
                 dropout: float = 0.0):
        super().__init__()
        if head_size is None:
            head_size = split_dim(dim, num_heads)
        self.num_heads = num_heads
        self.scale = head_size ** -0.5
        self.qkv = nn.Linear(dim, 3 * num_heads * head_size, bias=qkv_bias)
        self.proj = nn.Linear(num_heads * head_size, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Mix the tokens.

        Parameters
        ----------
        x
            Tokens, (B, N, C).
        return_attention
            Whether to return the maps too.

        Returns
        -------
        Tensor or (Tensor, Tensor)
            Mixed tokens, (B, N, C); with ``return_attention`` also the maps, (B, H, N, N): row i holds the weights,
            in [0, 1] and of sum 1, with which token i takes the values of all tokens.
        """
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))    # (B, N, 3, H, D)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))  # three of (B, H, N, D)
        if return_attention or fused_is_slow(q):
            attention = (q @ k.mT * self.scale).softmax(dim=-1)     # (B, H, N, N)
            heads = attention @ v
        else:
            heads = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        out = self.dropout(self.proj(heads.transpose(1, 2).flatten(2)))  # (B, H, N, D) -> (B, N, C)
        return (out, attention) if return_attention else out


def split_dim(dim: int, num_heads: int) -> int:
    """Return the size of a head, where ``num_heads`` of them share ``dim`` channels."""
    if num_heads < 1 or dim % num_heads:
        raise ValueError(f"dim={dim} cannot be split into num_heads={num_heads} heads of equal size; "
                         "dim must be a multiple of num_heads")
    return dim // num_heads


def fused_is_slow(q: Tensor) -> bool:
    """Say whether the four lines are faster than the fused kernel, as they are for bfloat16 on a CPU (torch 2.13)."""
    return q.device.type == "cpu" and q.dtype == torch.bfloat16

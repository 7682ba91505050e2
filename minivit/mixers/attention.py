"""Multi-head self-attention (Vaswani et al., 2017, section 3.2).

Axes: B batch, N tokens, C channels, H heads, D = C / H head size, M keys (N, or fewer with a spatial reduction).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from minivit.mixers.base import Grid, TokenMixer
from minivit.mixers.scores import KEEPS, Factors, Scores, attend, attention_map, multiply_out
from minivit.options import check_at_least, check_rate


class Attention(TokenMixer):
    r"""Every token asks every token, and takes an average of their values.

    In each head, :math:`\operatorname{softmax}(Q K^\top / \sqrt{D})\, V`; the heads are concatenated and projected.

    The fused kernel is used by default: it never writes the N x M map to memory. Asking for the map, or for the scores
    it is made of, takes the unfused path, which computes the same output.

    Parameters
    ----------
    dim
        Channels C, a multiple of ``num_heads``.
    num_heads
        Heads H.
    grid, prefix_tokens
        Of no effect: attention sees no places.
    head_size
        Size D of a head; C / H if None, and then H must divide C.
    qkv_bias
        Whether queries, keys and values have a bias.
    dropout
        Rate in [0, 1) on the output of the projection.
    reduction
        Maps the tokens (B, N, C) to those that are asked, (B, M, C): see :class:`minivit.layers.SpatialReduction`.
        None if all are.

    Raises
    ------
    ValueError
        If ``dim`` is not a multiple of ``num_heads`` and ``head_size`` is None, or a number is out of its range.
    """

    has_map = True
    gives_scores = True

    def __init__(self, dim: int, num_heads: int = 8, *, grid: Grid | None = None, prefix_tokens: int = 0,
                 head_size: int | None = None, qkv_bias: bool = True, dropout: float = 0.0,
                 reduction: nn.Module | None = None):
        super().__init__()
        check_rate(dropout=dropout)
        if head_size is None:
            head_size = split_dim(dim, num_heads)
        check_at_least(1, dim=dim, num_heads=num_heads, head_size=head_size)
        self.num_heads = num_heads
        self.scale = head_size ** -0.5
        self.reduction = reduction
        self.qkv = nn.Linear(dim, 3 * num_heads * head_size, bias=qkv_bias)
        self.proj = nn.Linear(num_heads * head_size, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, residual: Tensor | None = None, *, return_attention: bool = False, keep: str = "none"
                ) -> Tensor | tuple[Tensor, Scores]:
        """Mix the tokens.

        Parameters
        ----------
        x
            Tokens, (B, N, C).
        residual
            Scores of a layer below, (B, H, N, M), to be added to this layer's.
        return_attention
            Whether to return the maps too.
        keep
            What to return beside the tokens for a layer above: ``none``, the ``scores`` or their ``factors``. Of no
            effect with ``return_attention``.

        Returns
        -------
        Tensor or (Tensor, Tensor) or (Tensor, Factors)
            Mixed tokens, (B, N, C). With ``return_attention`` also the maps, (B, H, N, M): row i holds the weights,
            in [0, 1] and of sum 1, with which token i takes the values of all tokens. With ``keep`` instead the scores,
            (B, H, N, M), of which these are the softmax, or what they are the product of.
        """
        if residual is None and self.reduction is None and not return_attention and keep == "none" and x.is_cuda:
            from minivit.mixers import packed  # Triton, which is there where a GPU is

            if packed.fits(qkv := self.qkv(x), self.num_heads):
                return self.dropout(self.proj(packed.attend_packed(qkv, self.num_heads)))
        q, k, v = (split_heads(part, self.num_heads) for part in self.project(x))
        scores = Factors(q, k, self.scale, residual)
        if return_attention or keep == "scores":
            scores = scores.product()
        out = self.dropout(self.proj(merge_heads(attend(scores, v))))
        return with_scores(out, scores, return_attention, keep)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map tokens (B, N, C) to queries (B, N, H D), keys and values (B, M, H D)."""
        if self.reduction is None:
            return self.qkv(x).chunk(3, dim=-1)
        sizes = [len(self.qkv.weight) // 3, 2 * len(self.qkv.weight) // 3]
        biases = (None, None) if self.qkv.bias is None else self.qkv.bias.split(sizes)
        ask, answer = zip(self.qkv.weight.split(sizes), biases, strict=True)
        return F.linear(x, *ask), *F.linear(self.reduction(x), *answer).chunk(2, dim=-1)


def with_scores(out: Tensor, scores: Scores, return_attention: bool, keep: str) -> Tensor | tuple[Tensor, Scores]:
    """Return what was asked for: tokens alone, or with the maps, the scores or their factors."""
    if keep not in KEEPS:
        raise ValueError(f"keep={keep!r} is not known; it is one of {', '.join(KEEPS)}")
    if return_attention:
        return out, attention_map(scores)
    if keep == "none":
        return out
    return out, multiply_out(scores) if keep == "scores" else scores


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Map (B, N, H D) to (B, H, N, D)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """Map (B, H, N, D) to (B, N, H D)."""
    return x.transpose(1, 2).flatten(2)


def split_dim(dim: int, num_heads: int) -> int:
    """Return the size of a head, where ``num_heads`` of them share ``dim`` channels."""
    check_at_least(1, dim=dim, num_heads=num_heads)
    if dim % num_heads:
        raise ValueError(f"dim={dim} cannot be split into num_heads={num_heads} heads of equal size; "
                         "dim must be a multiple of num_heads")
    return dim // num_heads

"""What an attention map is made of: scores, which say how well each key matches each query, before softmax.

A layer hands its scores up as factors, not multiplied out; whoever needs the product computes it.

Axes: B batch, H heads, N queries, M keys, D head size.
"""

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class LazyMap(Protocol):
    """What a mixer with a map returns with ``return_scores=True``."""

    def map(self) -> Tensor:
        """Return the map, (B, H, N, M), in float32 or wider; its rows sum to 1."""


class Factors(NamedTuple):
    r"""Scores kept as factors: :math:`S = \lambda Q K^\top + R`.

    Attributes
    ----------
    queries, keys
        Q, (B, H, N, D), and K, (B, H, M, D).
    scale
        :math:`\lambda`.
    residual
        R, (B, H, N, M), or None for zero.
    scores
        S, if already computed.
    """

    queries: Tensor
    keys: Tensor
    scale: float
    residual: Tensor | None = None
    scores: Tensor | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(B, H, N, M)."""
        return *self.queries.shape[:3], self.keys.shape[2]

    def product(self) -> Tensor:
        """Return the scores S, (B, H, N, M)."""
        if self.scores is not None:
            return self.scores
        # Scale before multiplying, as the fused kernel does: in float16 the unscaled product overflows.
        scores = (self.queries * self.scale) @ self.keys.mT
        return scores if self.residual is None else scores + self.residual

    def multiplied_out(self) -> "Factors":
        """Return the same scores with their product computed, for use in several places."""
        return self._replace(scores=self.product())

    def map(self) -> Tensor:
        """Return softmax(S), (B, H, N, M)."""
        return attention_map(self.product())


class Product(NamedTuple):
    """Scores S, (B, H, N, M), without factors."""

    scores: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """(B, H, N, M)."""
        return tuple(self.scores.shape)

    def product(self) -> Tensor:
        """Return the scores S, (B, H, N, M)."""
        return self.scores

    def multiplied_out(self) -> "Product":
        """Return self."""
        return self

    def map(self) -> Tensor:
        """Return softmax(S), (B, H, N, M)."""
        return attention_map(self.scores)


Scores = Factors | Product


def as_scores(scores: Tensor | LazyMap) -> Scores:
    """Wrap a tensor of scores (B, H, N, M) in :class:`Product`; return other scores unchanged.

    Raises
    ------
    ValueError
        If the argument is a map that is not a softmax of scores.
    """
    if isinstance(scores, Tensor):
        return Product(scores)
    if not isinstance(scores, Scores):
        raise ValueError(f"scores={type(scores).__name__} has a map, but no scores before softmax; the layer below "
                         "must be attention or less attention")
    return scores


def attention_map(scores: Tensor) -> Tensor:
    """Return softmax(S), (B, H, N, M), for inspection: in float32 or wider, so that rows sum to 1."""
    return scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))


def attend(scores: Tensor | Scores, values: Tensor) -> Tensor:
    r"""Average the values: :math:`\operatorname{softmax}(S) V`.

    Factors go through the fused kernel, which never writes S to memory, unless S is already computed.

    Parameters
    ----------
    scores
        S, (B, H, N, M), or its factors.
    values
        V, (B, H, M, D).

    Returns
    -------
    Tensor
        (B, H, N, D).
    """
    if isinstance(scores, Factors) and scores.scores is None and not fused_is_slow(values):
        return F.scaled_dot_product_attention(scores.queries, scores.keys, values, attn_mask=scores.residual,
                                              scale=scores.scale)
    return as_scores(scores).product().softmax(dim=-1) @ values


def fused_is_slow(x: Tensor) -> bool:
    """Return whether the unfused path is faster, as it is for bfloat16 on a CPU (torch 2.13)."""
    return x.device.type == "cpu" and x.dtype == torch.bfloat16

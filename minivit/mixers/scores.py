"""What a map is made of. A layer hands it up without multiplying it out; that is done by whoever needs the product.

Scores say how well each key answers each query, before softmax.

Axes: B batch, H heads, N queries, M keys, D head size.
"""

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class LazyMap(Protocol):
    """What a mixer with a map returns with ``return_scores=True``."""

    def map(self) -> Tensor:
        """Return the map, (B, H, N, M), in float32 at least, rows of sum 1."""


class Factors(NamedTuple):
    r"""Scores whose product is not done: :math:`S = \lambda Q K^\top + R`.

    Attributes
    ----------
    queries, keys
        Q, (B, H, N, D), and K, (B, H, M, D).
    scale
        :math:`\lambda`, of the product.
    residual
        R, (B, H, N, M), or None for zero.
    scores
        S, where it is multiplied out already.
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
        # Scaled before the product, as the fused kernel does: in float16 the bare product overflows.
        scores = (self.queries * self.scale) @ self.keys.mT
        return scores if self.residual is None else scores + self.residual

    def multiplied_out(self) -> "Factors":
        """Return the same with its product, for those of whom several need it."""
        return self._replace(scores=self.product())

    def map(self) -> Tensor:
        """Return softmax(S), (B, H, N, M)."""
        return attention_map(self.product())


class Product(NamedTuple):
    """Scores S, (B, H, N, M), that have no factors, or none any more."""

    scores: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """(B, H, N, M)."""
        return tuple(self.scores.shape)

    def product(self) -> Tensor:
        """Return the scores S, (B, H, N, M)."""
        return self.scores

    def multiplied_out(self) -> "Product":
        """Return the same."""
        return self

    def map(self) -> Tensor:
        """Return softmax(S), (B, H, N, M)."""
        return attention_map(self.scores)


Scores = Factors | Product


def as_scores(scores: Tensor | LazyMap) -> Scores:
    """Return a tensor of scores (B, H, N, M) as their product, and scores as they are.

    Raises
    ------
    ValueError
        If it is a map that is not the softmax of scores.
    """
    if isinstance(scores, Tensor):
        return Product(scores)
    if not isinstance(scores, Scores):
        raise ValueError(f"scores={type(scores).__name__} has a map, but no scores before softmax; the layer below "
                         "must be attention or less attention")
    return scores


def attention_map(scores: Tensor) -> Tensor:
    """Return softmax(S), (B, H, N, M), for those who look at it: in float32 at least, so that rows have sum 1."""
    return scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))


def attend(scores: Tensor | Scores, values: Tensor) -> Tensor:
    r"""Average the values: :math:`\operatorname{softmax}(S) V`.

    Factors go through the fused kernel, which never writes S to memory, unless they are multiplied out already.

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
    """Say whether the unfused path is faster, as it is for bfloat16 on a CPU (torch 2.13)."""
    return x.device.type == "cpu" and x.dtype == torch.bfloat16

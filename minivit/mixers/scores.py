"""Scores: how well each key answers each query, before softmax. They pass from a layer to the layer above.

Axes: B batch, H heads, N queries, M keys, D head size.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

KEEPS = ("none", "scores", "factors")


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
    """

    queries: Tensor
    keys: Tensor
    scale: float
    residual: Tensor | None = None

    def product(self) -> Tensor:
        """Return the scores S, (B, H, N, M)."""
        # Scaled before the product, as the fused kernel does: in float16 the bare product overflows.
        scores = (self.queries * self.scale) @ self.keys.mT
        return scores if self.residual is None else scores + self.residual


Scores = Tensor | Factors


def multiply_out(scores: Scores) -> Tensor:
    """Return the scores as one tensor (B, H, N, M)."""
    return scores.product() if isinstance(scores, Factors) else scores


def attention_map(scores: Scores) -> Tensor:
    """Return softmax(S), (B, H, N, M), for those who look at it: in float32 at least, so that rows have sum 1."""
    scores = multiply_out(scores)
    return scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))


def attend(scores: Scores, values: Tensor) -> Tensor:
    r"""Average the values: :math:`\operatorname{softmax}(S) V`.

    Factors go through the fused kernel, which never writes S to memory.

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
    if isinstance(scores, Factors) and not fused_is_slow(values):
        return F.scaled_dot_product_attention(scores.queries, scores.keys, values, attn_mask=scores.residual,
                                              scale=scores.scale)
    return multiply_out(scores).softmax(dim=-1) @ values


def fused_is_slow(x: Tensor) -> bool:
    """Say whether the unfused path is faster, as it is for bfloat16 on a CPU (torch 2.13)."""
    return x.device.type == "cpu" and x.dtype == torch.bfloat16

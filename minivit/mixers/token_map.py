"""Linear maps from tokens to tokens that start as the identity.

Axes: N tokens, D features of a token, r rank.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minivit.options import check_at_least, is_whole


class TokenMap(nn.Module):
    r"""Replace each token by a linear combination of all tokens: :math:`Y = W X`, where W starts as the identity.

    Parameters
    ----------
    num_tokens
        N; W is N x N.
    rank
        Rank r, in [1, N), of the difference from the identity, :math:`W = I + U L`; None for a full matrix. U (N x r)
        starts at zero, and L (r x N) is drawn from a normal distribution with standard deviation
        :math:`1/\sqrt{N}`. This costs 2 N r multiply-adds per column of X instead of N². L depends on torch's seed
        alone: all maps of one size and rank start from the same L, in all layers and models, until
        ``torch.manual_seed`` is called again.

    Raises
    ------
    ValueError
        If the rank is out of range.
    """

    def __init__(self, num_tokens: int, rank: int | None = None):
        super().__init__()
        check_at_least(1, num_tokens=num_tokens)
        check_rank("rank", rank, num_tokens)
        self.num_tokens, self.rank = num_tokens, rank
        if rank is None:
            self.weight = nn.Parameter(torch.eye(num_tokens))
        else:
            # With a separate generator, the other weights of a model start the same whatever the rank.
            lower = torch.empty(rank, num_tokens)
            if not lower.is_meta:
                generator = torch.Generator(lower.device).manual_seed(torch.initial_seed())
                lower.normal_(std=num_tokens**-0.5, generator=generator)
            self.lower = nn.Parameter(lower)
            self.upper = nn.Parameter(torch.zeros(num_tokens, rank))

    def matrix(self) -> Tensor:
        """Return W, (N, N)."""
        if self.rank is None:
            return self.weight
        return torch.eye(self.num_tokens, device=self.upper.device, dtype=self.upper.dtype) + self.upper @ self.lower

    def forward(self, x: Tensor, dim: int = -2) -> Tensor:
        """Map (..., N, D) to (..., N, D); with ``dim=-1``, (..., D, N) to (..., D, N)."""
        apply = F.linear if dim == -1 else mix
        if self.rank is None:
            return apply(x, self.weight)
        return x + apply(apply(x, self.lower), self.upper)

    def extra_repr(self) -> str:
        return f"num_tokens={self.num_tokens}, rank={self.rank}"


def check_rank(name: str, rank: int | None, num_tokens: int) -> None:
    """Check that a map between ``num_tokens`` tokens can have this rank; ``name`` is the argument's, for the error."""
    if rank is not None and not (is_whole(rank) and 1 <= rank < num_tokens):
        raise ValueError(f"{name}={rank!r} must be in [1, {num_tokens}), or None for a map of full rank between "
                         f"{num_tokens} tokens")


def mix(x: Tensor, weight: Tensor) -> Tensor:
    """Multiply (..., N, D) by (n, N) from the left. ``weight @ x`` gives the same, but copies all of x."""
    return torch.einsum("ij,...jk->...ik", weight, x)

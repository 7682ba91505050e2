"""Linear maps from tokens to tokens that start as the identity.

Axes: N tokens, D anything a token has, r rank.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minivit.options import check_at_least, is_whole


class TokenMap(nn.Module):
    r"""Make of all tokens a new token for each place: :math:`Y = W X`, with :math:`W = I` at the start.

    Parameters
    ----------
    num_tokens
        N, of W (N x N).
    rank
        None for any W; or the rank r in [1, N) of its difference from the identity, :math:`W = I + U L`, with U (N x r)
        zero at the start and L (r x N) drawn from a normal of deviation :math:`1/\sqrt{N}`, of torch's seed alone: all
        maps of one size and rank start from the same L, those of a layer and of a model made later too, until
        ``torch.manual_seed`` is called again. That costs 2 N r multiply-adds a column of X in place of N².

    Raises
    ------
    ValueError
        If the rank is out of its range.
    """

    def __init__(self, num_tokens: int, rank: int | None = None):
        super().__init__()
        check_at_least(1, num_tokens=num_tokens)
        check_rank("rank", rank, num_tokens)
        self.num_tokens, self.rank = num_tokens, rank
        if rank is None:
            self.weight = nn.Parameter(torch.eye(num_tokens))
        else:
            # Drawn from a generator of its own: a model starts from the same other weights whatever the rank.
            lower = torch.empty(rank, num_tokens)
            if not lower.is_meta:
                chance = torch.Generator(lower.device).manual_seed(torch.initial_seed())
                lower.normal_(std=num_tokens**-0.5, generator=chance)
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
    """Check, for the argument of that name, that maps between so many tokens can have the rank."""
    if rank is not None and not (is_whole(rank) and 1 <= rank < num_tokens):
        raise ValueError(f"{name}={rank!r} must be in [1, {num_tokens}), or None for a map of full rank between "
                         f"{num_tokens} tokens")


def mix(x: Tensor, weight: Tensor) -> Tensor:
    """Multiply (..., N, D) by (n, N) from the left. ``weight @ x`` is the same, but lays all of x out anew."""
    return torch.einsum("ij,...jk->...ik", weight, x)

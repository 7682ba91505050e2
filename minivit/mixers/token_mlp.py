"""An MLP over the tokens (MLP-Mixer; Tolstikhin et al., 2021).

Axes: B batch, N tokens, C channels.
"""

from collections.abc import Callable

from torch import Tensor

from minivit.mixers.base import Grid, TokenMixer, check_tokens, count_tokens
from minivit.mixers.mlp import Mlp
from minivit.options import check_at_least


class TokenMlp(TokenMixer):
    r"""Mix the tokens of each channel with the same two-layer MLP.

    .. math:: Y^\top = \operatorname{MLP}(X^\top)

    How much one token takes from another depends on their positions alone, not on their content. Without the
    nonlinearity this would be one fixed N x N map.

    Parameters
    ----------
    dim, num_heads
        ``dim`` only sets the default of ``hidden_tokens``, and ``num_heads`` is ignored: channels are not mixed, and
        all share the same weights.
    grid, prefix_tokens
        Rows and columns of patches, and how many tokens come before them: N in total.
    hidden_tokens
        Hidden size of the MLP; half of ``dim`` if None, as in MLP-Mixer.
    dropout
        Rate in [0, 1) after each linear layer.

    References
    ----------
    Tolstikhin et al., "MLP-Mixer: An all-MLP Architecture for Vision", NeurIPS 2021.
    """

    bound_to_grid = True
    grid_weights = ("mlp.fc1.weight", "mlp.fc2.weight", "mlp.fc2.bias")

    def __init__(self, dim: int, num_heads: int = 1, *, grid: Grid, prefix_tokens: int = 0,
                 hidden_tokens: int | None = None, dropout: float = 0.0):
        super().__init__()
        hidden_tokens = max(1, dim // 2) if hidden_tokens is None else hidden_tokens
        check_at_least(1, dim=dim, hidden_tokens=hidden_tokens)
        self.num_tokens = count_tokens(grid, prefix_tokens)
        self.mlp = Mlp(self.num_tokens, hidden_tokens, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to tokens (B, N, C)."""
        check_tokens(self, x)
        return self.mlp(x.mT).mT  # (B, N, C) -> (B, C, N) and back

    def fit(self, name: str, weight: Tensor, between: Callable[[int], Tensor]) -> Tensor:
        """Undo the interpolation on the way in and redo it on the way out: G W₂ σ(W₁ G⁺ x)."""
        if name == "mlp.fc1.weight":
            return weight @ between(weight.shape[1]).pinverse().to(weight)
        return between(len(weight)).to(weight) @ weight

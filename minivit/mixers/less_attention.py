"""Less attention: attention maps derived from those of the layer below (Zhang et al., 2024).

Axes: B batch, N tokens (queries), M keys (N, or fewer with a spatial reduction), C channels, H heads, D head size.
"""

from collections.abc import Callable

from torch import Tensor, nn

from minivit.analysis import diagonality_loss
from minivit.mixers.attention import merge_heads, split_dim, split_heads
from minivit.mixers.base import Grid, MapMixer, count_tokens
from minivit.mixers.dropout import Dropout
from minivit.mixers.scores import Factors, Product, Scores, attend
from minivit.mixers.token_map import TokenMap
from minivit.options import check_at_least, check_choice, check_rate

FORMS = ("scores", "factors")


class LessAttention(MapMixer):
    r"""Compute no scores: transform those of the layer below, and average this layer's own values with them.

    .. math:: S' = \Psi\big(\Theta(S)^\top\big)^\top, \qquad Y = \operatorname{softmax}(S')\, V

    The linear map :math:`\Theta` (M x M) acts on the keys of each query, :math:`\Psi` (N x N) on the queries of each
    key. All heads share both. Both start as the identity, so an untrained layer repeats the map below. Neither has a
    bias: in :math:`\Psi` it would add the same number to all keys of a query, which softmax ignores, and in
    :math:`\Theta` it would be the only part of S' that isn't a transformed score.

    As matrices, :math:`S' = \Psi S \Theta^\top`. If the scores are a product, :math:`S = \lambda Q K^\top`, then

    .. math:: S' = \lambda\, (\Psi Q) (\Theta K)^\top

    so it is enough to transform the factors. The output is the same, but the scores are never written to memory, and
    two products with D columns per head replace two with N and M.

    Parameters
    ----------
    dim, num_heads
        Channels C and heads H.
    grid, prefix_tokens
        Rows and columns of patches, and how many tokens come before them: N in total. The layer works for this N only.
        For images of another size, make a new model and fit the weights to it with
        :func:`minivit.models.interpolate_weights`.
    num_keys
        M; N if None.
    rank
        Rank, in [1, min(N, M)), of the difference of each map from the identity; None for maps of full rank. See
        :class:`minivit.mixers.TokenMap`.
    form
        What to transform: ``scores``, or ``factors``, which falls back to the scores if they are not a plain product.
    v_bias
        Whether values have a bias.
    dropout, reduction
        As for :class:`minivit.mixers.Attention`; with ``reduction``, M tokens give values.

    Raises
    ------
    ValueError
        If ``dim`` is not a multiple of ``num_heads``, another number is out of range, or the form is unknown.
    """

    takes_scores = bound_to_grid = True

    def __init__(self, dim: int, num_heads: int = 8, *, grid: Grid, prefix_tokens: int = 0,
                 num_keys: int | None = None, rank: int | None = None, form: str = "scores", v_bias: bool = True,
                 dropout: float = 0.0, reduction: nn.Module | None = None):
        super().__init__()
        num_tokens = count_tokens(grid, prefix_tokens)
        split_dim(dim, num_heads)
        check_choice(FORMS, form=form)
        check_rate(dropout=dropout)
        check_at_least(1, num_keys=num_tokens if num_keys is None else num_keys)
        self.num_heads = num_heads
        self.num_tokens, self.num_keys = num_tokens, num_tokens if num_keys is None else num_keys
        self.reduction, self.form = reduction, form
        self.theta = TokenMap(self.num_keys, rank)
        self.psi = TokenMap(num_tokens, rank)
        self.v = nn.Linear(dim, dim, bias=v_bias)
        self.proj = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    @property
    def map_loss(self) -> Callable[[Tensor, str], Tensor] | None:
        """The diagonality loss, if the map is square; otherwise None."""
        return diagonality_loss if self.num_keys == self.num_tokens else None

    def mix(self, x: Tensor, scores: Scores | None = None, *, with_map: bool = False) -> tuple[Tensor, Scores]:
        scores = self.check(scores)
        if self.form == "factors" and isinstance(scores, Factors) and scores.residual is None:
            scores = Factors(self.psi(scores.queries), self.theta(scores.keys), scores.scale)
        else:
            scores = Product(self.transform(scores.product()))
        if with_map:
            scores = scores.multiplied_out()
        v = split_heads(self.v(x if self.reduction is None else self.reduction(x)), self.num_heads)
        return self.dropout(self.proj(merge_heads(attend(scores, v)))), scores

    def transform(self, scores: Tensor) -> Tensor:
        """Return S', the transformed scores; both (B, H, N, M)."""
        return self.psi(self.theta(scores, dim=-1))

    def check(self, scores: Scores | None) -> Scores:
        if scores is None:
            raise ValueError("scores=None: a less-attention layer computes no scores; it needs those of the layer "
                             "below")
        _, heads, tokens, keys = scores.shape
        if (tokens, keys) != (self.num_tokens, self.num_keys):
            raise ValueError(f"scores of {tokens} tokens by {keys} keys do not fit a less-attention layer made "
                             f"for {self.num_tokens} by {self.num_keys}. For images of another size, make a model with "
                             "that image_size and fit its weights with minivit.models.interpolate_weights")
        if heads != self.num_heads:
            raise ValueError(f"scores of {heads} heads do not fit num_heads={self.num_heads}")
        return scores

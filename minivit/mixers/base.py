"""The interface of a token mixer: the part of a block where tokens exchange information.

Axes: B batch, N tokens (first ``prefix_tokens`` off the grid, then the patches row by row), C channels, H heads.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from math import prod

from torch import Tensor, nn

from minivit.mixers.scores import LazyMap, Scores, as_scores
from minivit.options import check_at_least, image_sides

Grid = tuple[int, int]


class TokenMixer(nn.Module):
    """A layer that maps tokens (B, N, C) to tokens (B, N, C), and what the rest of the package must know about it.

    It is made from ``(dim, num_heads, *, grid, prefix_tokens, **options)``: channels and heads; rows and columns of
    patches; and how many tokens without a position on the grid, such as a class token, come before the patches. These
    must be able to read all patches within one layer. A subclass overrides the attributes below where the defaults
    don't hold.

    Attributes
    ----------
    has_map
        Whether the output is an average of values, weighted by a map: see :class:`MapMixer`.
    map_loss
        A loss on the map, to be minimised along with the cross-entropy: a function that takes the map, (B, H, N, M),
        and the name of a form, and returns a scalar. None for no loss.
    takes_scores
        Whether the layer expects the scores of the layer below.
    bound_to_grid
        Whether the layer needs all the patches in their order, so that none may be dropped.
    grid_weights
        Names of the parameters that are tied to positions and so depend on the grid: see :meth:`fit`.
    """

    has_map = False
    map_loss: Callable[[Tensor, str], Tensor] | None = None
    takes_scores = False
    bound_to_grid = False
    grid_weights: tuple[str, ...] = ()

    def matrices(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that weight decay applies to; Muon may update those with two axes.

        By default these are the weights of linear layers and convolutions, which start near zero. What starts at the
        identity should not decay.
        """
        return (module.weight for module in self.modules() if isinstance(module, nn.Linear | nn.Conv2d))

    def fit(self, name: str, weight: Tensor, between: Callable[[int], Tensor]) -> Tensor:
        """Fit one of the ``grid_weights`` of a mixer on another grid to the grid of this one, and return it.

        Parameters
        ----------
        name
            Name of the parameter within the mixer.
        weight
            Its value in the other mixer.
        between
            Takes the other mixer's number of tokens and returns G, (N, that number), which interpolates its tokens.

        Raises
        ------
        ValueError
            If the weight cannot be fitted.
        """
        raise ValueError(f"{name} of {type(self).__name__} does not fit images of another size")


class MapMixer(TokenMixer, ABC):
    """A mixer that averages values by a map, (B, H, N, N), whose rows sum to 1. Subclasses implement :meth:`mix`."""

    has_map = True

    @abstractmethod
    def mix(self, x: Tensor, scores: Scores | None = None, *, with_map: bool = False) -> tuple[Tensor, LazyMap]:
        """Return the mixed tokens, (B, N, C), and what the map is made of.

        Parameters
        ----------
        x
            Tokens, (B, N, C).
        scores
            Scores of the layer below, if ``takes_scores``.
        with_map
            Whether the map will be needed. If so, multiply the scores out first, so that it is done only once.
        """

    def forward(self, x: Tensor, scores: Tensor | LazyMap | None = None, *, return_attention: bool = False,
                return_scores: bool = False) -> Tensor | tuple[Tensor | LazyMap, ...]:
        """Mix the tokens.

        Parameters
        ----------
        x
            Tokens, (B, N, C).
        scores
            Scores of the layer below, (B, H, N, M), or what that layer returned for them; only if ``takes_scores``.
        return_attention
            Whether to return the map as well.
        return_scores
            Whether to return what the map is made of, for the layer above.

        Returns
        -------
        Tensor or (Tensor, Tensor) or (Tensor, LazyMap) or (Tensor, Tensor, LazyMap)
            Mixed tokens, (B, N, C). With ``return_attention`` also the map, (B, H, N, M): row i holds the weights that
            token i gives to the values of all tokens; they lie in [0, 1] and sum to 1. With ``return_scores`` also, in
            last place, an object whose ``map()`` returns that map. If the map is a softmax of scores, the object is a
            :class:`minivit.mixers.Factors` or :class:`minivit.mixers.Product`, whose ``product()`` returns the scores.

        Raises
        ------
        ValueError
            If scores are given to a mixer that doesn't take them, or don't fit it.
        """
        if scores is not None:
            if not self.takes_scores:
                raise ValueError(f"scores: this {type(self).__name__} doesn't take scores from the layer below")
            scores = as_scores(scores)
        out, lazy = self.mix(x, scores, with_map=return_attention)
        asked_for = ([lazy.map()] if return_attention else []) + ([lazy] if return_scores else [])
        return (out, *asked_for) if asked_for else out


def count_tokens(grid: Grid, prefix_tokens: int) -> int:
    """Return N, the number of patches on the grid plus the prefix tokens.

    Raises
    ------
    ValueError
        If the grid or the number of prefix tokens is not valid.
    """
    check_at_least(0, prefix_tokens=prefix_tokens)
    return prefix_tokens + prod(image_sides(grid, "grid"))


def check_tokens(mixer: TokenMixer, x: Tensor) -> None:
    """Raise an error unless x, (B, N, C), has ``mixer.num_tokens`` tokens."""
    if x.shape[1] != mixer.num_tokens:
        raise ValueError(f"x has {x.shape[1]} tokens; this {type(mixer).__name__} was made for {mixer.num_tokens}")
